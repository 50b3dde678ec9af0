"""The attention that a model used, and the stages of a Transformer, seen in a run of any code.

`attention_capture` keeps the weights of every softmax-weighted sum: fused ones are written out first
(`fused_attention`), and products are read in any order and notation (`attention_products`). `knock_out` takes arrows
away. `attention_check` refuses where something else mixed the tokens. `stages` cuts a Transformer into tokens, blocks
and readout.
"""
