"""Which axes of an input number its units: the pixels of a picture, the steps of a signal, the features of a table."""

from collections.abc import Sequence
from typing import NoReturn, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from xnb.access.hooks import capture_attention, watch_calls
from xnb.access.memo import answer_once
from xnb.access.model_call import ExplainedFailure, check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.check import refuse, require
from xnb.metrics.arguments import check_map_shape
from xnb.types import Attribution, Batch, Model

Units: TypeAlias = int | Sequence[int] | None  # as users name axes of x; None: what can be seen, else refused
Axes: TypeAlias = tuple[int, ...]  # of x, ascending and not negative
INSTANCES = (1,)  # the axis of a table's features, a bag's instances, a text's tokens: they have no neighbours


def find_axes(units: Units, x: Batch, attribution: Attribution, model: Model | None = None) -> Axes:
    """The axes of `x` that number its units; a unit has all values that lie at one place of these axes.

    Named axes are taken. Otherwise a table (B, D) has its features, a picture (B, C, H, W) its pixels, and one channel
    (B, 1, T) or (B, 1, D, H, W) its places. Signals and volumes of several channels have the shapes of tokens (B, N, D)
    and bags (B, N, C, h, w): there the axis counts that the map shares, then what the model's first layer or attention
    goes along. Where neither tells, the axes must be named.

    Args:
        units: one axis or several, e.g. `(2,)` for the steps of (B, C, T), `(1,)` for the tokens of (B, N, D).
        attribution: the map, of which an axis of length 1 is shared by what lies along that axis of `x`.
        model: looked at if nothing else tells; it runs one input.

    Raises:
        ValueError: the attribution does not broadcast to `x`, `units` are no axes of it or cannot be known, or there
            is but one unit.
    """
    check_map_shape(attribution, x)
    require(x.ndim > 1, "metrics: x must have a batch axis (B, ...)", x, "x = x[None]")
    axes = _see_axes(x, attribution, model) if units is None else _check_axes(units, x)
    count = torch.Size([x.shape[axis] for axis in axes]).numel()
    if count <= 1 and len(x):
        _refuse_one_unit(x, axes)
    return axes


def _check_axes(units: int | Sequence[int], x: Batch) -> Axes:
    """The named axes, checked."""
    named = [units] if isinstance(units, int) else list(units)
    counted = {axis + x.ndim if axis < 0 else axis for axis in named}
    fits = len(named) > 0 and len(counted) == len(named) and all(0 < axis < x.ndim for axis in counted)
    require(
        fits, f"metrics: units must be axes of x {tuple(x.shape)} behind the first", units, f"units=({x.ndim - 1},)"
    )
    return tuple(sorted(counted))


def _see_axes(x: Batch, attribution: Attribution, model: Model | None) -> Axes:
    """The axes that number the units, where these can be seen."""
    places = tuple(range(2, x.ndim))
    if x.ndim == 2:
        return INSTANCES
    if x.ndim == 4:
        _refuse_map_of_channels(x, attribution)
        return places
    if x.shape[1] == 1:
        return places
    # (B, C, T) and (B, N, D) have the same shape. What the map shares tells them apart, and else the model.
    shared = [length == 1 for length in attribution.shape[1:]]
    if all(length == 1 for length in x.shape[2:]) or (all(shared[1:]) and not shared[0]):
        return INSTANCES
    if shared[0] and not all(shared):
        return places
    seen = answer_once(("axes of units", model, x), lambda: _look_at_model(model, x))
    return seen or _refuse_either(x)


def _refuse_map_of_channels(x: Batch, attribution: Attribution) -> None:
    """Refuse a map (B, C, 1, W) of a picture: it tells channels apart, and pixels not."""
    pairs = list(zip(attribution.shape, x.shape, strict=True))
    ignores_pixels = any(length < whole for length, whole in pairs[2:])
    varying = tuple(axis for axis in range(1, x.ndim) if attribution.shape[axis] > 1)
    rule = "metrics: the map of a picture (B, C, H, W) must tell pixels apart, or the units be named"
    require(not (ignores_pixels and pairs[1][0] > 1), rule, attribution, f"units={varying}")


def _refuse_either(x: Batch) -> NoReturn:
    if x.ndim == 3:
        hint = "units=(2,)  # steps of a signal (B, C, T); units=(1,) of tokens (B, N, D)"
    else:
        places = tuple(range(2, x.ndim))
        hint = f"units={places}  # voxels of a volume (B, C, D, H, W); units=(1,) of a bag (B, N, C, h, w)"
    refuse(f"metrics: which axes of x {tuple(x.shape)} number the units must be named", x, hint)


def _refuse_one_unit(x: Batch, axes: Axes) -> NoReturn:
    longer = tuple(axis for axis in range(1, x.ndim) if x.shape[axis] > 1)
    hint = f"units={longer}" if longer else ""
    refuse(f"metrics: there is one unit alone along {axes} of x, so every map scores alike", x, hint)


def _look_at_model(model: Model | None, x: Batch) -> Axes | None:
    """What one input's way through the model tells; None where that is nothing."""
    if not isinstance(model, nn.Module):
        return None
    check_explainable(model, x)
    with ExplainedFailure(model, x), select_rows(slice(1), len(x)), torch.no_grad():
        return _look_at_first_layer(model, x) or _look_at_attention(model, x)


def _look_at_attention(model: nn.Module, x: Batch) -> Axes | None:
    """The axis of the tokens, if attention goes over as many as axis 1 has, and never over the last axis."""
    with capture_attention(model) as calls:
        chunk_logits(model, x[:1])
    keys = {call.weights.shape[-1] for call in calls}
    if x.ndim == 3 and x.shape[1] in keys and x.shape[2] not in keys:
        return INSTANCES
    return None


def _look_at_first_layer(model: nn.Module, x: Batch) -> Axes | None:
    """The axes along which the model's first layer with weights moves, if it is given inputs as they are.

    A convolution over more than one place has its places last, behind the channels. A recurrent or attention layer
    has its steps on axis 1. A layer that is given what lies along axis 1 as a batch takes these for instances. Any
    other layer tells nothing.
    """
    first: list[Axes | None] = []

    def look(name: str, module: nn.Module, args: tuple) -> None:
        tells = not isinstance(module, _NormBase | nn.GroupNorm | nn.LayerNorm)  # these move along nothing
        if not first and tells and any(True for _ in module.parameters(recurse=False)):
            received = args[0].shape if args and isinstance(args[0], Tensor) else torch.Size()
            first.append(_axes_of_layer(module, received, x))

    with watch_calls(model, look, lambda *call: None):
        chunk_logits(model, x[:1])
    return first[0] if first else None


def _axes_of_layer(layer: nn.Module, received: torch.Size, x: Batch) -> Axes | None:
    """The axes of `x` along which a layer moves that is given inputs of this shape; None where it does not tell."""
    if received == x.shape[1:]:
        return INSTANCES
    if received != (1, *x.shape[1:]):
        return None
    if isinstance(layer, _ConvNd):
        slides = max(layer.kernel_size) > 1 and len(layer.kernel_size) == x.ndim - 2
        if slides:
            return tuple(range(2, x.ndim))
        return None
    has_steps = isinstance(layer, nn.RNNBase | nn.MultiheadAttention) and layer.batch_first
    if has_steps and x.ndim == 3:
        return INSTANCES
    return None
