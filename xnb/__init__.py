"""Why did this PyTorch model decide that? One call, one tensor back.

    a = xnb.attribute(model, x, target, "integrated_gradients")

`xnb.catalog()` lists every method with its family, needs, cost, promises and paper; `xnb.lint(model, x)` says which
of them are right for a model, `xnb.explain` runs many at once with a bill, `xnb.prepare(model)` makes it faster,
`xnb.compare` measures which of them can be trusted.
"""

from xnb.compare import compare as compare
from xnb.explain import Explanation as Explanation, explain as explain
from xnb.lint import lint as lint
from xnb.methods import attribute as attribute
from xnb.methods.every_class import attribute_all as attribute_all
from xnb.prepare import prepare as prepare, tune_malloc as tune_malloc
from xnb.registry import METHODS as METHODS, catalog as catalog

__version__ = "0.1.0"
