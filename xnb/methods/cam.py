r"""Class activation maps: where the channels of a layer that matter to a class are active.

Notation: :math:`A` are the maps `(B, D, h, w)` that the layer returns, :math:`G = \partial f / \partial A` is the
gradient of the score there, :math:`(\cdot)^+` sets negative values to zero. A map is made at the layer's resolution
and then enlarged bilinearly: it is no finer than the layer, however smooth it looks. It is never normalised.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.at_layer import (
    Maps,
    Suffix,
    activation_and_gradient,
    last_spatial_layer,
    layer_activation,
    make_suffixes,
)
from xnb.access.chunking import chunk_size
from xnb.access.model_call import check_explainable
from xnb.access.score import changed_scores
from xnb.access.targets import target_logit
from xnb.check import require
from xnb.methods.registry import method
from xnb.progress import show_progress
from xnb.types import Batch, Target

# Bytes of ablated activations run together (`access.chunking`: of inputs, `methods.incremental`: of windows). What
# follows a layer is seldom larger, so a pass may fill a second level cache: on a CNN's last block 16 pictures suffice.
_ABLATED_BYTES = 2 * 2**20
_CamMap = Float[Tensor, "B 1 rows columns"]


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
) -> _CamMap:
    r"""Activation weighted with each channel's mean gradient: `(B, 1, H, W)`. Unit: score per position of the layer.

    .. math:: a = \Bigl(\sum_k \bar G_k A_k\Bigr)^+, \qquad \bar G_k = \frac{1}{hw} \sum_{ij} G_{kij}

    Where average pooling and one linear layer follow, :math:`hw\,a` is the positive part of each position's share of
    the score. Elsewhere the mean gradient moves evidence to positions that the model did not use: see `hires_cam`.

    Args:
        layer: a name of `model.named_modules()`; None is the last one with rows and columns, found by one more
            pass of one input.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`, or `layer` is unknown, not called exactly once, returns no maps
            `(B, D, h, w)` or has no gradient; with None, the model has no such layer.
    """
    maps, gradient = _maps_and_gradient(model, x, target, layer, chunk)
    weights = gradient.mean((2, 3), keepdim=True)
    return _combine_channels(weights * maps, x, resize)


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
) -> _CamMap:
    r"""Activation weighted with a weighted sum of each channel's positive gradient: `(B, 1, H, W)`. Unit: none.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad
        w_k = \sum_{ij} \alpha_{kij} G_{kij}^+, \qquad
        \alpha_{kij} = \frac{G_{kij}^2}{2 G_{kij}^2 + G_{kij}^3 \sum_{ab} A_{kab}}

    The paper explains :math:`Y = e^f`: its second and third derivatives are then powers of the gradient of `f`
    wherever `f` is piecewise linear in `A`. The factor :math:`e^f` that all weights have in common is left out: it
    scales a map, and overflows. Where the layer's activations can be negative, the denominator can vanish: take a
    layer after its ReLU.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, gradient = _maps_and_gradient(model, x, target, layer, chunk)
    positive = gradient.relu()
    # Where the gradient is positive, alpha is 1 / (2 + gradient * sum of A); elsewhere it is multiplied by zero.
    denominator = 2 + positive * maps.sum((2, 3), keepdim=True)
    weights = (positive / denominator).sum((2, 3), keepdim=True)
    return _combine_channels(weights * maps, x, resize)


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
) -> _CamMap:
    r"""Positive part of each position's first-order share of the score: `(B, 1, H, W)`. Unit: score per layer position.

    .. math:: a = \Bigl(\sum_k G_k \odot A_k\Bigr)^+

    Where one linear layer follows, the shares of all positions add up exactly to the score less its bias, before
    negative ones are set to zero. With average pooling in between the map equals Grad-CAM's.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, gradient = _maps_and_gradient(model, x, target, layer, chunk)
    return _combine_channels(gradient * maps, x, resize)


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
) -> _CamMap:
    r"""Activation where more of it would raise the score: `(B, 1, H, W)`. Unit: score per position of the layer.

    .. math:: a = \Bigl(\sum_k G_k^+ \odot A_k\Bigr)^+

    Made for early layers, where a channel's mean gradient says little. What speaks against the class is not
    subtracted, so a position with as much evidence for the class as against it looks decisive.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`.
    """
    maps, gradient = _maps_and_gradient(model, x, target, layer, chunk)
    return _combine_channels(gradient.relu() * maps, x, resize)


@method(family="cam", needs="modules", cost="(1 + D) F", paper="Wang et al. 2020, arXiv:1910.01279")
def score_cam(
    model: nn.Module,
    x: Batch,
    target: Target,
    *,
    layer: str | None = None,
    resize: bool = True,
    chunk: int | None = None,
) -> _CamMap:
    r"""Activation weighted by how well each channel, as a mask of the input, keeps the score: `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w = \operatorname{softmax}_k f(x \odot M_k), \qquad
        M_k = \frac{U_k - \min U_k}{\max U_k - \min U_k}

    `U` is the channel enlarged bilinearly to the input; a constant channel masks everything. The paper weights with
    the increase of the score over a baseline, which is the same for all channels and so falls out of the softmax.
    Unit: activation. The softmax depends on the scale of the logits: large ones leave a single channel.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    layer = _find_cam_layer(model, x, target, layer)
    maps = layer_activation(model, x, layer, chunk=chunk)

    def mask_input(channels: slice, rows: slice) -> Tensor:
        enlarged = F.interpolate(maps[rows, channels], x.shape[2:], mode="bilinear", align_corners=False)
        least = enlarged.amin((2, 3), keepdim=True)
        span = enlarged.amax((2, 3), keepdim=True) - least
        masks = (enlarged - least) / span.where(span > 0, 1)  # a constant channel becomes a mask of zeros
        return masks.transpose(0, 1)[:, :, None] * x[rows]

    weights = changed_scores(model, x, target, mask_input, maps.shape[1], chunk=chunk).softmax(0)
    return _combine_channels(weights.T[:, :, None, None] * maps, x, resize)


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
) -> _CamMap:
    r"""Activation weighted with the share of the score that is lost without each channel: `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w_k = \frac{f(x) - f(x \mid A_k = 0)}{f(x)}

    Unit: activation. Everything before the layer is computed once per input. A negative score reverses the sign of
    the map and a score near zero blows it up: explain a class that the model is sure of.

    Args:
        layer: as for `grad_cam`.
        resize: False leaves the map at the layer's resolution, `(B, 1, h, w)`.
        chunk: ablated activations run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    layer = _find_cam_layer(model, x, target, layer)
    weighted = []
    for i, rest in enumerate(show_progress(make_suffixes(model, x, layer), len(x), "input")):
        weighted.append(_weight_by_ablation(rest, target[i : i + 1], chunk))
    return _combine_channels(torch.cat(weighted), x, resize)


def _weight_by_ablation(rest: Suffix, target: Target, chunk: int | None) -> Maps:
    """The maps of one input, each times the share of the score that is lost without it."""
    maps = rest.activation
    rule = f"layer: {rest.layer!r} must return maps (B, D, h, w)"
    require(maps.ndim == 4, rule, maps, "layer=None  # the last that does")
    channels = maps.shape[1]
    if chunk is None:
        chunk = max(chunk_size(maps, None), _ABLATED_BYTES // maps.nbytes)
    # Every pass writes its ablated maps into the same memory, which saves allocating it anew.
    buffer = torch.empty_like(maps.expand(min(chunk, channels), -1, -1, -1))

    def ablate(channels: slice, rows: slice) -> Tensor:
        ablated = buffer[: channels.stop - channels.start].copy_(maps)
        ablated.diagonal(channels.start, 0, 1).zero_()  # row i lacks channel `start + i`
        return ablated[:, None]

    score = target_logit(rest.logits, target)
    lost = score - changed_scores(rest, maps, target, ablate, channels, chunk=chunk)  # (D, 1)
    return (lost / score).T[:, :, None, None] * maps


def _find_cam_layer(model: nn.Module, x: Batch, target: Target, layer: str | None) -> str:
    """Name of the layer whose maps are combined, once model, pictures and target are known to fit."""
    check_explainable(model, x, target)
    require(x.ndim == 4, "class activation map: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    return last_spatial_layer(model, x) if layer is None else layer


def _maps_and_gradient(
    model: nn.Module, x: Batch, target: Target, layer: str | None, chunk: int | None
) -> tuple[Maps, Maps]:
    return activation_and_gradient(model, x, target, _find_cam_layer(model, x, target, layer), chunk=chunk)


def _combine_channels(weighted: Maps, x: Batch, resize: bool) -> _CamMap:
    """The sum over the weighted channels, negative values set to zero, enlarged to the input if wanted."""
    cam = weighted.sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False) if resize else cam
