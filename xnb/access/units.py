"""Which axes of an input number its units: the pixels of a picture, the steps of a signal, the tokens of a text.

One definition for all that removes, paints over or counts: methods as well as metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, NoReturn, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from xnb.access.hooks import capture_attention, watch_calls
from xnb.access.layout.axes import Axis
from xnb.access.layout.axis_watch import AxisWatch
from xnb.access.memo import answer_once
from xnb.access.model_call import ExplainedFailure, check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.check import refuse, require
from xnb.types import Batch, Model

Units: TypeAlias = int | Sequence[int] | None  # as users name axes of x; None: what can be seen, else refused
Axes: TypeAlias = tuple[int, ...]  # of x, ascending and not negative
_MOST_COLOURS = 4  # red, green, blue, and how much of it
INSTANCES = (1,)  # the axis of a table's features, a bag's instances, a text's tokens: they have no neighbours


def find_unit_axes(units: Units, x: Batch, model: Model | None, who: str) -> Axes:
    """The axes of `x` that number its units; a unit has all values that lie at one place of these axes.

    Named axes are taken. Otherwise a table (B, D) has its features, a picture (B, C, H, W) its pixels, and one channel
    (B, 1, T) or (B, 1, D, H, W) its places. Signals and volumes of several channels have the shapes of tokens (B, N, D)
    and bags (B, N, C, h, w), and pictures may be (B, H, W, C): there it counts what the model's first layer or
    attention goes along. Where that does not tell, the axes must be named.

    Args:
        units: one axis or several, e.g. `(2,)` for the steps of (B, C, T), `(1,)` for the tokens of (B, N, D).
        model: looked at if nothing else tells; it runs one input.
        who: asks, the first word of a refusal.

    Raises:
        ValueError: `units` are no axes of `x`, or cannot be known.
    """
    if units is not None:
        return check_axes(units, x, who)
    return see_axes(x, model) or _refuse_either(x, who)


def see_axes(x: Batch, model: Model | None) -> Axes | None:
    """The axes that number the units, where the shape or the model shows them; None where neither does."""
    places = tuple(range(2, x.ndim))
    if x.ndim == 2:
        return INSTANCES
    if x.shape[1] == 1 or (x.ndim == 4 and not _may_have_channels_last(x)):
        return places
    if all(length == 1 for length in x.shape[2:]):
        return INSTANCES
    if not len(x):  # nothing is to be seen in no inputs, and nothing depends on it
        return places
    return answer_once(("axes of units", model, x), lambda: _look_at_model(model, x))


def _may_have_channels_last(x: Batch) -> bool:
    """Whether pictures look like (B, H, W, C): few values on the last axis, as colours are, and many on the others."""
    _, first, second, last = x.shape
    return last <= _MOST_COLOURS < min(first, second)


def size_by_axis(x: Batch, axes: Axes) -> list[int]:
    """Lengths of all axes of one input, 1 for those that number no units."""
    return [length if axis in axes else 1 for axis, length in enumerate(x.shape[1:], 1)]


def check_axes(units: int | Sequence[int], x: Batch, who: str) -> Axes:
    """The named axes, checked."""
    named = _read_axis_numbers(units)
    counted = {axis + x.ndim if axis < 0 else axis for axis in named}
    fits = len(named) > 0 and len(counted) == len(named) and all(0 < axis < x.ndim for axis in counted)
    rule = f"{who}: units must be axes of x {tuple(x.shape)} behind the first"
    require(fits, rule, units, f"units=({x.ndim - 1},)")
    return tuple(sorted(counted))


def _read_axis_numbers(units: int | Sequence[int]) -> list[int]:
    """The numbers of the axes, whatever counts them; none where something is no whole number."""
    several = np.ndim(units) > 0
    try:
        return [index(axis) for axis in (units if several else [units])]  # type: ignore[union-attr, arg-type]
    except TypeError:
        return []


def _refuse_either(x: Batch, who: str) -> NoReturn:
    """Refuse inputs whose shape fits two layouts, with a line for each."""
    if x.ndim == 3:
        hint = "units=(2,)  # steps of a signal (B, C, T); units=(1,) of tokens (B, N, D)"
    elif x.ndim == 4:
        hint = "units=(1, 2)  # pixels of a picture (B, H, W, C); units=(2, 3) of (B, C, H, W)"
    else:
        places = tuple(range(2, x.ndim))
        hint = f"units={places}  # voxels of a volume (B, C, D, H, W); units=(1,) of a bag (B, N, C, h, w)"
    refuse(f"{who}: which axes of x {tuple(x.shape)} number the units must be named", x, hint)


def _look_at_model(model: Model | None, x: Batch) -> Axes | None:
    """What one input's way through the model tells; None where that is nothing."""
    if model is None:
        return None
    check_explainable(model, x)
    with ExplainedFailure(model, x), select_rows(slice(1), len(x)), torch.no_grad():
        if isinstance(model, nn.Module):
            return _look_at_layers(model, x) or _look_at_attention(model, x)
        convolutions = _ConvolutionWatch()
        with convolutions:
            chunk_logits(model, convolutions.start(x[:1].clone()))
        return convolutions.places


def _look_at_attention(model: nn.Module, x: Batch) -> Axes | None:
    """The axis of the tokens, if attention goes over as many as axis 1 has, and never over the last axis."""
    with capture_attention(model) as calls:
        chunk_logits(model, x[:1].clone())
    keys = {call.weights.shape[-1] for call in calls}
    if x.ndim == 3 and x.shape[1] in keys and x.shape[2] not in keys:
        return INSTANCES
    return None


def _look_at_layers(model: nn.Module, x: Batch) -> Axes | None:
    """The axes along which the model's first layer with weights moves, or its first convolution.

    A recurrent or attention layer that is given inputs as they are has its steps on axis 1. A layer that is given what
    lies along axis 1 as a batch takes these for instances. Any other layer tells nothing.
    """
    first: list[Axes | None] = []

    def look(name: str, module: nn.Module, args: tuple) -> None:
        tells = not isinstance(module, _NormBase | nn.GroupNorm | nn.LayerNorm)  # these move along nothing
        if not first and tells and any(True for _ in module.parameters(recurse=False)):
            received = args[0].shape if args and isinstance(args[0], Tensor) else torch.Size()
            first.append(_axes_of_layer(module, received, x))

    convolutions = _ConvolutionWatch()
    with watch_calls(model, look, lambda *call: None), convolutions:
        chunk_logits(model, convolutions.start(x[:1].clone()))
    return (first[0] if first else None) or convolutions.places


def _axes_of_layer(layer: nn.Module, received: torch.Size, x: Batch) -> Axes | None:
    """The axes of `x` along which a layer moves that is given inputs of this shape; None where it does not tell."""
    if received == x.shape[1:]:
        return INSTANCES
    if x.ndim == 4 and isinstance(layer, nn.Linear) and received == (1, *x.shape[1:]):
        return (1, 2)  # it mixes what the last axis has, place by place
    has_steps = isinstance(layer, nn.RNNBase | nn.MultiheadAttention) and layer.batch_first
    if has_steps and x.ndim == 3 and received == (1, *x.shape[1:]):
        return INSTANCES
    return None


class _ConvolutionWatch(AxisWatch):
    """Sees along which axes of the input the first convolution goes that covers more than one place.

    Attributes:
        places: those axes; None where no convolution goes along as many axes as could be places.
    """

    places: Axes | None = None

    def _follow(self, function: Callable[..., Any], args: tuple, kwargs: Mapping[str, Any], out: Tensor) -> None:
        super()._follow(function, args, kwargs, out)
        signal, weight = [*args, kwargs.get("weight"), None][:2]  # `weight` by position, by name, or not at all
        is_first = self.places is None and function.__name__ in {"conv1d", "conv2d", "conv3d"}
        if is_first and isinstance(weight, Tensor) and weight.shape[2:].numel() > 1:
            self.places = self._read_places(self.find_axes(signal), weight.ndim - 2)

    def _read_places(self, axes: list[Axis] | None, count: int) -> Axes | None:
        """The axes of the input that the last `count` axes of a tensor lie along."""
        if axes is None or len(axes) != count + 2 or axes[0]:  # something else is folded into the batch of one
            return None
        found = {factor.role.origin for axis in axes[-count:] for factor in axis}
        # an axis of one place leaves no trace
        short = {number for number, axis in enumerate(self._input_axes) if number and not axis}
        places = sorted({origin for origin in found if origin is not None and origin > 0} | short)
        if len(places) == count == len(self._input_axes) - 2:
            return tuple(places)
        return None
