"""Why did this PyTorch model decide that, and which explanation can I trust? One call, one tensor back.

    a = xnb.attribute(model, x, target, "integrated_gradients")

`xnb.catalog()` lists every method with its family, needs, cost, promises and paper; `xnb.lint(model, x)` says which
of them are right for a model, `xnb.explain` runs many at once with a bill, `xnb.prepare(model)` makes it faster,
`xnb.compare` measures which of them can be trusted. The rooms, with more on each in ARCHITECTURE.md:

    access          The ways into a model: run it (`score`), hook it (`hooks`), cut it at a layer (`at_layer`).
    adapters        What people have, in the one shape: models with other outputs or inputs, black boxes.
    check           Refusals and warnings: one line that names the rule, one with what came, one that can be pasted.
    comparison      Methods x metrics x images in one table that survives a killed run, and what the table says.
    data            Data sets as one frozen type.
    explanation     Many methods at once, sharing the passes that they have in common, and the bill of each.
    folders         Where the collection keeps its files, and how a file is written whole or not at all.
    insight         Beyond which pixel mattered: what a network holds inside, what would change its answer.
    methods         Attribution methods: all share one signature.
    metrics         How good is an explanation?
    models          Networks whose every operation is a named module, so that an explanation can reach it.
    plot            Numbers as pictures: arrays and an `ax` in, the `ax` out.
    progress        A progress bar for what turns out to be slow.
    registry        Functions entered under their own names, each with a card of facts.
    scale           Past one machine: shards that know nothing of each other, and workers of an engine.
    storage         Weights on disk as safetensors, which hold numbers and never code.
    summary         What a network is made of.
    training        Training: the loop as a generator, objectives beside being right.
    types           The words every signature speaks.
    widgets         Explanations that can be moved, in plain ipywidgets.
"""

import lazy_loader

__version__ = "0.4.0"

# Names are listed in __init__.pyi and looked up at first use: `import xnb` loads nothing heavier than torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
