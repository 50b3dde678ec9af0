r"""Class activation maps: where the channels of a layer that matter to a class are active.

Notation: :math:`A` are the maps `(B, D, h, w)` that the layer returns, :math:`G = \partial f / \partial A` is the
slope of the score there, :math:`(\cdot)^+` cuts negative values to zero. A map is made at the layer's resolution and
then enlarged bilinearly: it is no finer than the layer, however smooth it looks. It is never normalised.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.at_layer import Maps, Suffix, activation, activation_and_slope, last_spatial, suffixes
from xnb.access.score import changed_scores, chunk_size, pick, ready
from xnb.check import require
from xnb.methods.registry import method
from xnb.progress import watched
from xnb.types import Batch, Target

# Ablated activations of one pass together, in bytes. Unlike behind an input, what follows a layer is seldom larger
# than the layer: a pass may fill a second level cache. Measured on the last block of a CNN, from 16 pictures on flat.
ABLATED_BYTES = 2 * 2**20

CamMap = Float[Tensor, "B 1 rows columns"]


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
    shares="layer_gradient",
)
def grad_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Activation weighted with each channel's mean slope: `(B, 1, H, W)`. Unit: score per place of the layer.

    .. math:: a = \Bigl(\sum_k \bar G_k A_k\Bigr)^+, \qquad \bar G_k = \frac{1}{hw} \sum_{ij} G_{kij}

    Where average pooling and one linear layer follow, :math:`hw\,a` is the positive part of each place's share of the
    score. Elsewhere the mean slope moves evidence to places that the model did not use: see `hires_cam`.

    Args:
        layer: a name of `model.named_modules()`; None is the last one with rows and columns, found by one more
            pass of one input.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`, or `layer` is unknown, not called exactly once, returns no maps
            `(B, D, h, w)` or has no gradient; with None, the model has no such layer.
    """
    maps, slope = _maps_and_slope(model, x, target, layer, chunk)
    return _drawn(slope.mean((2, 3), keepdim=True) * maps, x, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Chattopadhay et al. 2018, arXiv:1710.11063",
    shares="layer_gradient",
)
def grad_cam_plus_plus(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Activation weighted with a weighted sum of each channel's positive slopes: `(B, 1, H, W)`. Unit: none.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad
        w_k = \sum_{ij} \alpha_{kij} G_{kij}^+, \qquad
        \alpha_{kij} = \frac{G_{kij}^2}{2 G_{kij}^2 + G_{kij}^3 \sum_{ab} A_{kab}}

    The paper explains :math:`Y = e^f`: its second and third derivatives are then powers of the slope of `f` wherever
    `f` is piecewise linear in `A`. The common factor :math:`e^f` of all weights is left out: it scales a map, and
    overflows. Where the layer's activations can be negative, the denominator can vanish: take one after its ReLU.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, slope = _maps_and_slope(model, x, target, layer, chunk)
    up = slope.relu()  # falling places have no weight; for the others alpha is 1 / (2 + slope * sum of A)
    weights = (up / (2 + up * maps.sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return _drawn(weights * maps, x, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Draelos et al. 2020, arXiv:2011.08891",
    shares="layer_gradient",
)
def hires_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Each place's first-order share of the score, positive part: `(B, 1, H, W)`. Unit: score per place of the layer.

    .. math:: a = \Bigl(\sum_k G_k \odot A_k\Bigr)^+

    Where one linear layer follows the places, they share the score less its bias exactly, before negative shares are
    cut. With average pooling in between it equals Grad-CAM.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, slope = _maps_and_slope(model, x, target, layer, chunk)
    return _drawn(slope * maps, x, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + B from the layer on",
    paper="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    shares="layer_gradient",
)
def layer_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Activation at the places where more of it would raise the score: `(B, 1, H, W)`. Unit: score per place.

    .. math:: a = \Bigl(\sum_k G_k^+ \odot A_k\Bigr)^+

    Made for early layers, where a channel's mean slope says little. What speaks against the class is not subtracted,
    so a place with as much for as against looks decisive.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, slope = _maps_and_slope(model, x, target, layer, chunk)
    return _drawn(slope.relu() * maps, x, resize)


@method(family="cam", needs="modules", cost="(1 + D) F", paper="Wang et al. 2020, arXiv:1910.01279")
def score_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Activation weighted by how well each channel, as a mask of the input, keeps the score: `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w = \operatorname{softmax}_k f(x \odot M_k), \qquad
        M_k = \frac{U_k - \min U_k}{\max U_k - \min U_k}

    `U` is the channel enlarged bilinearly to the input, a constant one masks everything. The paper weights with the
    increase of the score over a baseline: being the same for all channels, the baseline falls out of the softmax.
    Unit: activation. The softmax depends on the scale of the logits: large ones leave a single channel.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    maps = activation(model, x, _chosen(model, x, target, layer), chunk=chunk)

    def masked(some: slice, part: slice) -> Tensor:
        large = F.interpolate(maps[part, some], x.shape[2:], mode="bilinear", align_corners=False)
        least = large.amin((2, 3), keepdim=True)
        span = large.amax((2, 3), keepdim=True) - least
        masks = (large - least) / span.where(span > 0, 1)
        return masks.transpose(0, 1)[:, :, None] * x[part]

    weights = changed_scores(model, x, target, masked, maps.shape[1], chunk=chunk).softmax(0)
    return _drawn(weights.T[:, :, None, None] * maps, x, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + (1 + D) F from the layer on",
    paper="Ramaswamy & Desai 2020, doi:10.1109/WACV45572.2020.9093360",
)
def ablation_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> CamMap:
    r"""Activation weighted with the share of the score that is lost without each channel: `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w_k = \frac{f(x) - f(x \mid A_k = 0)}{f(x)}

    Unit: activation. Everything before the layer is computed once an input. A score that is negative turns the map
    round, one near zero blows it up: explain a class that the model is sure of.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: ablated activations run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    rests = suffixes(model, x, _chosen(model, x, target, layer))
    weighted = [_weighted(rest, target[i : i + 1], chunk) for i, rest in enumerate(watched(rests, len(x), "input"))]
    return _drawn(torch.cat(weighted), x, resize)


def _weighted(rest: Suffix, target: Target, chunk: int | None) -> Maps:
    """The maps of one input, each times the share of the score that is lost without it."""
    maps, layer = rest.activation, rest.layer
    require(maps.ndim == 4, f"layer: {layer!r} must return maps (B, D, h, w)", maps, "layer=None  # the last that does")
    D = maps.shape[1]
    together = max(chunk_size(maps, None), ABLATED_BYTES // maps.nbytes) if chunk is None else chunk
    room = torch.empty_like(maps.expand(min(together, D), -1, -1, -1))  # the same memory for every pass

    def ablated(some: slice, part: slice) -> Tensor:
        rows = room[: some.stop - some.start].copy_(maps)
        rows.diagonal(some.start, 0, 1).zero_()  # channel `start + i` of row i
        return rows[:, None]

    whole = pick(rest.logits, target)
    lost = whole - changed_scores(rest, maps, target, ablated, D, chunk=together)  # (D, 1)
    return (lost / whole).T[:, :, None, None] * maps


def _chosen(model: nn.Module, x: Batch, target: Target, layer: str | None) -> str:
    ready(model, x, target)
    require(x.ndim == 4, "class activation map: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    return last_spatial(model, x) if layer is None else layer


def _maps_and_slope(
    model: nn.Module, x: Batch, target: Target, layer: str | None, chunk: int | None
) -> tuple[Maps, Maps]:
    return activation_and_slope(model, x, target, _chosen(model, x, target, layer), chunk=chunk)


def _drawn(weighted: Maps, x: Batch, resize: bool) -> CamMap:
    """Channels added up, negative places cut, enlarged to the input."""
    cam = weighted.sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False) if resize else cam
