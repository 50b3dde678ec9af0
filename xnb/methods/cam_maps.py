"""What all class activation maps share: the layer, its maps with channels first, and their sum laid on the input."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.layout.axis_watch import SeenAxes
from xnb.access.layout.layer_maps import LayerLike, find_layer_and_axes, suggest_layer
from xnb.access.layout.map_layout import Layout, MapLayout, Maps, find_layout
from xnb.access.ledger import leave_note
from xnb.access.model_call import check_explainable
from xnb.check import require, warn
from xnb.types import Batch, Target

CamMap = Float[Tensor, "B ..."]  # the input's axes: 1 for channels; for places its sizes, or those of the layer
_ENLARGING = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """The maps of a layer, `(B, D, *places)`.

    Attributes:
        layer: its name.
        layout: how they were made of what it returns.
    """

    layer: str
    layout: MapLayout
    maps: Maps

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of places."""
        return tuple(range(2, self.maps.ndim))


def choose_layer(model: nn.Module, x: Batch, target: Target, layer: LayerLike) -> tuple[str, SeenAxes | None]:
    """The layer whose maps are combined, once model, inputs and target are known to fit; its name is left as a note.

    Beside it stands what its axes are, where the search for it has shown this.
    """
    check_explainable(model, x, target)
    rule = "class activation map: x must be signals (B, C, T), pictures (B, C, H, W) or volumes (B, C, D, H, W)"
    require(3 <= x.ndim <= 5, rule, x, "xnb.attribute(model, x, target, 'feature_ablation')")
    name, axes = find_layer_and_axes(model, x, layer)
    leave_note(layer=name)
    return name, axes


def make_maps(model: nn.Module, x: Batch, layer: str, output: Tensor, axes: SeenAxes, layout: Layout) -> LayerMaps:
    """The maps that the output of a layer is."""
    found = find_layout(layer, output, axes, x, layout, lambda: suggest_layer(model, x))
    return LayerMaps(layer, found, found.arrange(output))


def enlarge_maps(maps: Maps, layout: MapLayout, x: Batch) -> Maps:
    """Maps linearly enlarged to the places of the input."""
    sizes = [x.shape[axis] for axis in layout.places]
    return F.interpolate(maps, sizes, mode=_ENLARGING[len(sizes)], align_corners=False)


def combine_channels(weighted: Maps, found: LayerMaps, x: Batch, signed: bool, resize: bool) -> CamMap:
    """The sum over the weighted channels, without its negative values unless signed, enlarged if wanted."""
    cam = weighted.sum(1, keepdim=True)
    if not signed:
        _tell_zeros(cam, found.layer)
        cam = cam.relu()
    if resize:
        cam = enlarge_maps(cam, found.layout, x)
    return found.layout.lay_on_input(cam[:, 0], x)


def _tell_zeros(cam: Maps, layer: str) -> None:
    """Warn of inputs whose map would be zero everywhere."""
    of_input = cam.flatten(1)
    if not of_input.numel():
        return
    without = of_input.amax(1) <= 0
    if not without.any():
        return
    negative = without & (of_input.amin(1) < 0)
    if negative.any():
        rule = f"class activation map: zero everywhere, as every place of {layer!r} speaks against the class"
        warn(rule, f"inputs {negative.nonzero()[:, 0].tolist()}", "signed=True  # keeps what is negative")
    else:
        rule = f"class activation map: zero everywhere, as no place of {layer!r} has a share in the score"
        inputs = without.nonzero()[:, 0].tolist()
        hint = "xnb.attribute(model, x, target, 'feature_ablation')  # shows where the input matters"
        warn(rule, f"inputs {inputs}", hint)
