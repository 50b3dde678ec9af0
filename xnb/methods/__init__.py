"""Attribution methods: all share one signature, `method(model, x, target, *, knobs) -> Attribution`, and no state.

`METHODS` holds them by name, `catalog()` says what is known of each, `describe("lime")` shows its formula. A method is
entered by its decorator: a new file in this folder needs no mention here.
"""

from xnb.methods.calls import attribute as attribute, attribute_all as attribute_all
from xnb.methods.descriptions import describe as describe
from xnb.methods.registry import METHODS as METHODS, catalog as catalog
from xnb.registry import import_files

# The order of the catalog; methods of files that are not named here come after these, by name of the file.
_FIRST = (
    "tokens",
    "token_occlusion",
    "attention",
    "cam",
    "cam_by_channel",
    "masking",
    "lime",
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
import_files(__name__, __path__, _FIRST)
