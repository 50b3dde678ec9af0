"""What stands where a part of an input is removed, or where a path to it begins."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.draws import make_generator
from xnb.access.rows import follow_rows, number_rows
from xnb.access.units import Axes, see_axes
from xnb.check import find_entry, refuse, require
from xnb.types import Batch, Model

# A number; a tensor or an array that broadcasts against x, also with a row an input; a name in `BASELINES`; a function
# of the inputs.
Baseline: TypeAlias = Any
_BLUR_SHARE = 12  # the blur's deviation is this part of a side
_BLUR_REACH = 3  # deviations that the blur looks to either side


def expand_baseline(baseline: Baseline, x: Batch, model: Model | None = None, *, places: Axes | None = None) -> Batch:
    """The baseline of each input: a number, a tensor that follows the rows of `x`, a name, or a function of inputs.

    Every baseline is a choice, and what a method says depends on it. By name:

    * `"zero"`: black, or the mean of standardised inputs. What is zero in the input can get no attribution.
    * `"mean"`: of each channel over all places of the input itself. The colour goes along with the input, so what
      only the colour tells stays in.
    * `"blur"`: the input without its detail, under a Gaussian of a twelfth of each side. Nothing looks cut out, but
      what is larger than the blur stays in and seems to be no evidence.
    * `"noise"`: uniform between the smallest and the largest value of the input, the same draw for every input. It has
      edges of its own, which a network may see something in; another draw gives another answer.

    Args:
        baseline: one of these names; a number; a tensor that broadcasts against `x`; a function that is given inputs
            and returns a baseline for each of them, which must not depend on the others.
        model: looked at for the mean and the blur of what may be signals `(B, C, T)` or tokens `(B, N, D)`.
        places: axes over which mean and blur are taken; None: `xnb.access.units.see_axes`.

    Raises:
        ValueError: it does not broadcast to `x`, is of another dtype or on another device, an unknown name, or a blur
            or mean over places of a table, which has none, or where it cannot be known which axes these are.
    """
    values = _make_values(baseline, x, lambda name: places or _find_place_axes(x, name, model))
    rule = f"baseline: must have x's dtype and device, {x.dtype} on {x.device}"
    same = values.dtype == x.dtype and values.device == x.device
    require(same, rule, values, "baseline=torch.zeros_like(x)")
    if values.ndim == x.ndim and len(values) > 1:
        values = _follow_inputs(values, x)
    try:
        return values.expand_as(x)
    except RuntimeError:
        refuse(f"baseline: must broadcast to x {tuple(x.shape)}", baseline, "baseline=torch.zeros_like(x)")


def _make_values(baseline: Baseline, x: Batch, find_places: Callable[[str], Axes]) -> Tensor:
    """What is to be broadcast, from whatever says it."""
    if isinstance(baseline, str):
        make = find_entry(BASELINES, baseline, "baseline: no baseline of that name")
        return make(x, find_places(baseline)) if baseline in _OVER_PLACES else make(x, ())
    if callable(baseline):
        return _make_values(baseline(x), x, find_places)
    if isinstance(baseline, Tensor):
        return baseline
    try:
        return x.new_tensor(baseline)
    except (TypeError, ValueError, RuntimeError):
        refuse("baseline: must be a number, a tensor, a function or a name", baseline, f"one of {list(BASELINES)}")


def _follow_inputs(values: Tensor, x: Batch) -> Tensor:
    """The rows of the inputs that run; where only the inputs that run have a row, these are they."""
    if len(values) != len(x):
        return follow_rows(values, len(x), "baseline")
    running = number_rows(slice(None), len(x))
    if running.size != len(values):
        return values
    return values[running.numbers.to(values.device)]


def _average_places(x: Batch, places: Axes) -> Batch:
    """The mean of each channel over all places of the input."""
    return x.mean(places, keepdim=True).expand_as(x)


def _blur(x: Batch, places: Axes) -> Batch:
    """The input under a Gaussian along each of its axes of places; beyond the border nothing counts."""
    exact = torch.promote_types(x.dtype, torch.float32)
    blurred = x.to(exact)
    for axis in places:
        blurred = _blur_along(blurred, axis)
    return blurred.to(x.dtype)


def _blur_along(x: Batch, axis: int) -> Batch:
    """The mean along an axis, weighted by a Gaussian whose deviation is a share of the axis."""
    length = x.shape[axis]
    deviation = length / _BLUR_SHARE
    reach = int(_BLUR_REACH * deviation)
    steps = torch.arange(-reach, reach + 1).to(x)
    kernel = torch.exp(-steps.square() / (2 * deviation**2)).view(1, 1, -1)
    lines = x.movedim(axis, -1)
    # Beyond the border nothing is known: a place is the mean of what lies inside, by the weights that lie inside.
    sums = F.conv1d(lines.reshape(-1, 1, length), kernel, padding=reach)
    inside = F.conv1d(x.new_ones(1, 1, length), kernel, padding=reach)
    return (sums / inside).view(lines.shape).movedim(-1, axis)


def _draw_in_range(x: Batch, places: Axes) -> Batch:
    """Uniform noise in each input's own range."""
    values = x.flatten(1)
    shape = (len(x), *[1] * (x.ndim - 1))
    low = values.amin(1).view(shape)
    high = values.amax(1).view(shape)
    rng = make_generator("noise baseline", 0)
    noise = torch.rand(x.shape[1:], generator=rng, dtype=torch.double).to(x)
    return low + noise * (high - low)


def _find_place_axes(x: Batch, name: str, model: Model | None) -> Axes:
    """The axes of places; a table has none."""
    hint = "baseline=x.mean(0, keepdim=True)  # what is usual in these inputs"
    require(x.ndim > 2, f"baseline: {name!r} is taken over places, inputs (B, C, ...)", x, hint)
    rule = f"baseline: over which axes of x {tuple(x.shape)} {name!r} is taken must be known"
    return see_axes(x, model) or refuse(rule, x, _suggest_mean(x))


def _suggest_mean(x: Batch) -> str:
    """The two means that may be meant."""
    if x.ndim == 4:
        return (
            "baseline=x.mean((1, 2), keepdim=True)  # of a picture (B, H, W, C); x.mean((2, 3), keepdim=True) of others"
        )
    places = tuple(range(2, x.ndim))
    what = "a signal (B, C, T)" if x.ndim == 3 else "a volume (B, C, D, H, W)"
    others = "tokens (B, N, D)" if x.ndim == 3 else "a bag (B, N, C, h, w)"
    return f"baseline=x.mean({places}, keepdim=True)  # of {what}; x.mean(1, keepdim=True) of {others}"


BASELINES: dict[str, Callable[[Batch, Axes], Batch]] = {
    "zero": lambda x, places: torch.zeros_like(x),
    "mean": _average_places,
    "blur": _blur,
    "noise": _draw_in_range,
}
_OVER_PLACES = {"mean", "blur"}
