r"""Class activation maps by gradient: where the channels of a layer that matter to a class are active.

Notation: :math:`A` are the maps `(B, D, *places)` of a layer, whatever order its axes have, :math:`G = \partial f /
\partial A` is the gradient of the score there, :math:`(\cdot)^+` sets negative values to zero. A map is made at the
layer's resolution and then enlarged linearly: it is no finer than the layer, however smooth it looks. It is never
normalised. Signals, pictures and volumes have one, two and three axes of places; the result has the input's axes, with
1 in place of its channels. `cam_by_channel` has the maps that run the model without each channel.
"""

from dataclasses import dataclass

from torch import nn

from xnb.access.at_layer import activation_and_gradient
from xnb.access.layout.layer_maps import LayerLike
from xnb.access.layout.map_layout import Layout, Maps
from xnb.methods.cam_maps import CamMap, LayerMaps, choose_layer, combine_channels, make_maps
from xnb.methods.registry import method
from xnb.types import Batch, Target


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
    axioms=("dummy",),
    shares="layer_gradient",
    sign="none",
)
def grad_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: LayerLike = None,
    layout: Layout = None,
    signed: bool = False,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Sum of a layer's channels, each weighted by its mean gradient. `(B, 1, H, W)`; unit: score per layer position.

    .. math:: a = \Bigl(\sum_k \bar G_k A_k\Bigr)^+, \qquad \bar G_k = \frac{1}{hw} \sum_{ij} G_{kij}

    Here :math:`A_k` is channel :math:`k` of the layer, :math:`h` by :math:`w`, :math:`G = \partial f / \partial A`.
    Where average pooling and one linear layer follow, :math:`hw\,a` is the positive part of each position's share of
    the score. Elsewhere the mean gradient moves evidence to positions that the model did not use: see `hires_cam`.

    Args:
        layer: a name of `model.named_modules()`, or the module; None is the last one with maps, found by one more
            pass of one input, and named in the ledger of `xnb.explain`.
        layout: which axis of the layer's output holds the channels: None finds it from what the model does;
            "channels_first", "channels_last", or a function of the output that returns `(B, D, *places)`.
        signed: True leaves negative values as they are.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` has not one to three axes of places, or `layer` is unknown, not called exactly once, has no
            gradient, or returns no maps whose layout is known; with None, the model has no such layer.
    """
    found = _read_layer(model, x, target, layer, layout, chunk)
    weights = found.gradient.mean(found.axes, keepdim=True)
    return combine_channels(weights * found.maps, found, x, signed, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Chattopadhay et al. 2018, arXiv:1710.11063",
    axioms=("dummy",),
    shares="layer_gradient",
    sign="none",
)
def grad_cam_plus_plus(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: LayerLike = None,
    layout: Layout = None,
    signed: bool = False,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Sum of a layer's channels, each weighted by its positive gradients, damped where they are large. Unit: none.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad
        w_k = \sum_{ij} \alpha_{kij} G_{kij}^+, \qquad
        \alpha_{kij} = \frac{G_{kij}^2}{2 G_{kij}^2 + G_{kij}^3 \sum_{ab} A_{kab}}

    Here :math:`A_k` is channel :math:`k` of the layer, :math:`G = \partial f / \partial A`. The map is `(B, 1, H, W)`.
    The paper explains :math:`Y = e^f`: its second and third derivatives are then powers of the gradient of `f` wherever
    `f` is piecewise linear in `A`. The factor :math:`e^f` that all weights have in common is left out: it scales a map,
    and overflows. Where the layer's activations can be negative, the denominator can vanish: take a layer after its
    ReLU.

    Args:
        layer, layout, signed, resize: as for `grad_cam`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    found = _read_layer(model, x, target, layer, layout, chunk)
    positive = found.gradient.relu()
    # Where the gradient is positive, alpha is 1 / (2 + gradient * sum of A); elsewhere it is multiplied by zero.
    denominator = 2 + positive * found.maps.sum(found.axes, keepdim=True)
    weights = (positive / denominator).sum(found.axes, keepdim=True)
    return combine_channels(weights * found.maps, found, x, signed, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Draelos et al. 2020, arXiv:2011.08891",
    axioms=("dummy",),
    shares="layer_gradient",
    sign="none",
)
def hires_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: LayerLike = None,
    layout: Layout = None,
    signed: bool = False,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Sum of a layer's channels, each value weighted by its own gradient. `(B, 1, H, W)`; unit: score per position.

    .. math:: a = \Bigl(\sum_k G_k \odot A_k\Bigr)^+

    Here :math:`A_k` is channel :math:`k` of the layer and :math:`G = \partial f / \partial A` its gradient. A position
    of the map has its share of the score, to first order: where one linear layer follows, the shares add up exactly to
    the score less its bias, before negative ones are set to zero. With average pooling in between the map equals
    Grad-CAM's.

    Args:
        layer, layout, signed, resize: as for `grad_cam`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    found = _read_layer(model, x, target, layer, layout, chunk)
    return combine_channels(found.gradient * found.maps, found, x, signed, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    axioms=("dummy",),
    shares="layer_gradient",
    sign="none",
)
def layer_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: LayerLike = None,
    layout: Layout = None,
    signed: bool = False,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Sum of a layer's channels, each value weighted by its own gradient where that is positive. `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k G_k^+ \odot A_k\Bigr)^+

    Here :math:`A_k` is channel :math:`k` of the layer and :math:`G = \partial f / \partial A` its gradient. Unit: score
    per position of the layer. Made for early layers, where a channel's mean gradient says little. What speaks against
    the class is not subtracted, so a position with as much evidence for the class as against it looks decisive.

    Args:
        layer, layout, signed, resize: as for `grad_cam`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    found = _read_layer(model, x, target, layer, layout, chunk)
    return combine_channels(found.gradient.relu() * found.maps, found, x, signed, resize)


@dataclass(frozen=True, eq=False)
class _MapsAndGradient(LayerMaps):
    """The maps of a layer, and the gradient of the score with respect to them."""

    gradient: Maps


def _read_layer(
    model: nn.Module, x: Batch, target: Target, layer: LayerLike, layout: Layout, chunk: int | None
) -> _MapsAndGradient:
    """What the layer returns and its gradient, both as maps `(B, D, *places)`."""
    name, axes = choose_layer(model, x, target, layer)
    at_layer = activation_and_gradient(model, x, target, name, axes=axes, chunk=chunk)
    found = make_maps(model, x, name, at_layer.activation, at_layer.axes, layout)
    gradient = found.layout.arrange(at_layer.gradient)  # type: ignore[arg-type]  # refused where there is none
    return _MapsAndGradient(found.layer, found.layout, found.maps, gradient)
