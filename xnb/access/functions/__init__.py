"""The functions of torch that a model calls, and other backward steps in the place of their gradients.

`function_rules` runs a model under a table of rules, one for each function of torch; `traced_call` is what a rule sees,
and `backward_steps` are what it may answer. `function_kinds` names the functions that are alike. What has no rule of
its own is written out in simpler functions (`written_out`, `recurrence`), or refused by its place (`call_places`).
"""
