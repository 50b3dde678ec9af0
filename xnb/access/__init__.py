"""The ways into a model: run it (`score`), hook it (`hooks`), cut it at a layer (`at_layer`), watch its functions.

The functions are watched to see attention (`attention_capture`) and to give them another backward step
(`function_rules`). `ledger` counts the passes, `preparation` makes a faster copy, `regions` says what may be removed.
"""
