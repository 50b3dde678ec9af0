"""Attribution methods: all share one signature, `method(model, x, target, *, knobs) -> Attribution`, and no state.

`METHODS` holds them by name, `catalog()` says what is known of each. A method is entered by its decorator: a new file
in this folder needs no mention here.
"""

from importlib import import_module
from pkgutil import iter_modules

from xnb.methods.calls import attribute as attribute, attribute_all as attribute_all
from xnb.methods.registry import METHODS as METHODS, catalog as catalog

# The order of the catalog; methods of files that are not named here come after these, by name of the file.
_FIRST = (
    "tokens",
    "attention",
    "cam",
    "masking",
    "controls",
    "deep_lift",
    "attention_flow",
    "gradient",
    "smoothing",
    "integrated_gradients",
    "occlusion",
    "lrp",
    "guided",
    "shapley",
)
_PRESENT = tuple(module.name for module in iter_modules(__path__))
for _name in dict.fromkeys(_FIRST + _PRESENT):
    import_module(f"{__name__}.{_name}")
