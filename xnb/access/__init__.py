"""The ways into a model: run it (`score`), hook it (`hooks`), cut it at a layer (`at_layer`), watch its functions.

The model and the tensors of the caller leave every call as they came.

- Run it: `score` asks any callable for the one number that is explained, and for its gradient, in chunks that stay in
  cache (`chunking`). `inputs` and `targets` read what a caller hands over, `model_call` checks what goes in and comes
  out (`output_forms`, `modes`), `rows` says which inputs run. Most methods need no more, so they explain functions too.
- Hook it: `hooks` reads what a module returns, or puts something else in its place, for methods on a named layer.
- Cut it: `at_layer` stops the gradient at a layer; `suffix` starts a model there from recorded outputs, for many
  activations of one input.
- Watch its functions: what is written between modules shows to no hook. `attention/` keeps the weights of every
  attention, `functions/` gives functions another backward step, `layout/` follows the axes of the input; what they
  remember of tensors stands in `marks`.

Beside these: `baselines` and `regions` say what is removed of an input and what stands there then, `draws` makes random
numbers. `ledger` counts passes, `memo` and `shared_gradients` spare equal ones, `memory` measures what a block of code
takes, `trials` run a method for what it refuses and costs. `preparation` makes a faster copy of a model (`foldable`,
`copies`).
"""

import lazy_loader

# Loaded at first use.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=[
        "at_layer",
        "attention",
        "baselines",
        "functions",
        "hooks",
        "inputs",
        "layout",
        "ledger",
        "memo",
        "model_call",
        "preparation",
        "rows",
        "score",
        "suffix",
        "targets",
        "trials",
    ],
)
