"""Why did this PyTorch model decide that? One call, one tensor back.

    a = xnb.attribute(model, x, target, "integrated_gradients")

`xnb.catalog()` lists every method with its family, needs, cost, promises and paper; `xnb.lint(model, x)` says which
of them are right for a model, `xnb.explain` runs many at once with a bill, `xnb.prepare(model)` makes it faster,
`xnb.compare` measures which of them can be trusted.
"""

import lazy_loader

__version__ = "0.2.0"

# Names are listed in __init__.pyi and looked up at first use: `import xnb` loads nothing heavier than torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
