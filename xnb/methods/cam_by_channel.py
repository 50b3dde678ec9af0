r"""Class activation maps by trial: each channel of a layer weighs as much as the score loses or keeps for it.

Notation as in `cam`, whose maps need a gradient.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xnb.access.at_layer import layer_activation
from xnb.access.chunking import chunk_size
from xnb.access.layout.layer_maps import LayerLike
from xnb.access.layout.map_layout import Layout, MapLayout, Maps
from xnb.access.score import changed_scores
from xnb.access.suffix import Suffix, make_suffixes
from xnb.access.targets import target_logit
from xnb.methods.cam_maps import CamMap, LayerMaps, choose_layer, combine_channels, enlarge_maps, make_maps
from xnb.methods.registry import method
from xnb.progress import show_progress
from xnb.types import Batch, Target

# Bytes of ablated activations run together (`access.chunking`: of inputs, `methods.incremental`: of windows). What
# follows a layer is seldom larger, so a pass may fill a second level cache: on a CNN's last block 16 pictures suffice.
_ABLATED_BYTES = 2 * 2**20


@method(
    family="cam",
    needs="modules",
    cost="(1 + D) F",
    axioms=("dummy",),
    paper="Wang et al. 2020, arXiv:1910.01279",
    sign="none",
)
def score_cam(
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
    r"""Sum of a layer's channels, each weighted by the score that it keeps as a mask of the input. `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w = \operatorname{softmax}_k f(x \odot M_k), \qquad
        M_k = \frac{U_k - \min U_k}{\max U_k - \min U_k}

    Here :math:`A_k` is channel :math:`k` of the layer, :math:`U_k` the same enlarged to the input; a constant channel
    masks everything. The paper weights with the increase of the score over a baseline, which is the same for all
    channels and so falls out of the softmax. Unit: activation. The softmax depends on the scale of the logits: large
    ones leave a single channel.

    Args:
        layer, layout, signed, resize: as for `grad_cam`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    name, axes = choose_layer(model, x, target, layer)
    at_layer = layer_activation(model, x, name, axes=axes, chunk=chunk)
    found = make_maps(model, x, name, at_layer.activation, at_layer.axes, layout)
    count = found.maps.shape[1]

    def mask_input(channels: slice, rows: slice) -> Tensor:
        enlarged = enlarge_maps(found.maps[rows, channels], found.layout, x)
        least = enlarged.amin(found.axes, keepdim=True)
        span = enlarged.amax(found.axes, keepdim=True) - least
        masks = (enlarged - least) / span.where(span > 0, 1)  # a constant channel becomes a mask of zeros
        of_channels = [found.layout.lay_on_input(mask, x) * x[rows] for mask in masks.unbind(1)]
        return torch.stack(of_channels)

    weights = changed_scores(model, x, target, mask_input, count, chunk=chunk).softmax(0)
    return combine_channels(_weigh(found.maps, weights.T), found, x, signed, resize)


@method(
    family="cam",
    needs="modules",
    cost="F + (1 + D) F from the layer on",
    axioms=("dummy",),
    paper="Ramaswamy & Desai 2020, doi:10.1109/WACV45572.2020.9093360",
    sign="none",
)
def ablation_cam(
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
    r"""Sum of a layer's channels, each weighted by the share of the score lost without it. `(B, 1, H, W)`.

    .. math:: a = \Bigl(\sum_k w_k A_k\Bigr)^+, \qquad w_k = \frac{f(x) - f(x \mid A_k = 0)}{f(x)}

    Here :math:`A_k` is channel :math:`k` of the layer. Unit: activation. Everything before the layer is computed once
    per input. A negative score reverses the sign of the map and a score near zero blows it up: explain a class that the
    model is sure of.

    Args:
        layer, layout, signed, resize: as for `grad_cam`.
        chunk: ablated activations run together; the result does not depend on it.

    Raises:
        ValueError: as for `grad_cam`, but no gradient is needed.
    """
    name, axes = choose_layer(model, x, target, layer)
    if not len(x):
        return x[:, :1] * 0
    weighted: list[Maps] = []
    found: LayerMaps
    places: _Channels
    seen = None
    for i, rest in enumerate(show_progress(make_suffixes(model, x, name, axes), len(x), "input")):
        if rest.axes is not seen:  # inputs that ran together have the same
            seen = rest.axes
            found = make_maps(model, x, name, rest.activation, seen, layout)
            places = _find_channels(rest.activation, found.layout)
        lost = _lose_channels(rest, places, target[i : i + 1], chunk)
        weighted.append(_weigh(found.layout.arrange(rest.activation), lost))
    return combine_channels(torch.cat(weighted), found, x, signed, resize)


class _Channels(NamedTuple):
    """Where the channels of one input's activation lie in memory.

    Attributes:
        strides: of the activation, as it is laid out for being ablated.
        numbers: of each channel's values.
    """

    strides: tuple[int, ...]
    numbers: Int[Tensor, "D P"]


def _lose_channels(rest: Suffix, places: _Channels, target: Target, chunk: int | None) -> Float[Tensor, "1 D"]:
    """The share of one input's score that is lost without each channel."""
    activation = rest.activation
    strides, numbers = places
    channels = len(numbers)
    at_once = chunk_size(activation, chunk)
    if chunk is None:
        at_once = max(at_once, _ABLATED_BYTES // activation.nbytes)
    # Every pass writes its ablated activations into the same memory, which saves allocating it anew.
    memory = activation.new_empty(min(at_once, channels), activation.numel())
    buffer = memory.as_strided((len(memory), *activation.shape[1:]), (activation.numel(), *strides))

    def ablate(channels: slice, rows: slice) -> Tensor:
        n = channels.stop - channels.start
        ablated = buffer[:n].copy_(activation)
        memory[:n].scatter_(1, numbers[channels], 0)  # row i lacks channel `start + i`
        return ablated[:, None]

    score = target_logit(rest.logits, target)
    lost = score - changed_scores(rest, activation, target, ablate, channels, chunk=at_once)  # (D, 1)
    return (lost / score).T


def _stride_of_values(activation: Tensor) -> tuple[int, ...]:
    """How one input's values lie in memory: as in the activation, channels last for one, if that leaves no gaps."""
    strides = activation.stride()[1:]
    last = sum((size - 1) * stride for size, stride in zip(activation.shape[1:], strides, strict=True))
    if last + 1 == activation.numel():
        return strides
    return torch.empty(activation.shape[1:], device="meta").stride()


def _find_channels(activation: Tensor, layout: MapLayout) -> _Channels:
    strides = _stride_of_values(activation)
    numbers = torch.arange(activation.numel(), dtype=torch.double, device=activation.device)
    maps = layout.arrange(numbers.as_strided(activation.shape, (activation.numel(), *strides)))
    return _Channels(strides, maps[0].flatten(1).long())


def _weigh(maps: Maps, weights: Float[Tensor, "B D"]) -> Maps:
    ones = [1] * (maps.ndim - 2)
    return weights.reshape(*weights.shape, *ones) * maps
