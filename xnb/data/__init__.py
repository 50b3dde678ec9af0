"""Data sets as one frozen type: `split.train` and `split.test`, each with `x`, `y` and, where known, the truth."""

import lazy_loader

# Names are listed in __init__.pyi; each file is loaded when one of its names is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
