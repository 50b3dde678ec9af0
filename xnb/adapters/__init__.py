"""What people have, in the one shape: models with other outputs or inputs, black boxes.

Methods of other libraries come in, and methods of this one go out to them (`libraries`).
"""

import lazy_loader

# Names are listed in __init__.pyi; each file is loaded when one of its names is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
