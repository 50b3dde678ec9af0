"""Why did this PyTorch model decide that? One call, one tensor back.

    a = xnb.attribute(model, x, target, "integrated_gradients")

`xnb.catalog()` lists every method with its family, needs, cost, promises and paper.
"""

from xnb.methods import attribute as attribute
from xnb.registry import METHODS as METHODS, catalog as catalog

__version__ = "0.1.0"
