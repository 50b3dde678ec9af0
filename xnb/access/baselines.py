"""What stands where a part of an input is removed, or where a path to it begins."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.draws import make_generator
from xnb.access.rows import follow_rows, number_rows
from xnb.check import find_entry, refuse, require
from xnb.types import Batch

# A number; a tensor or an array that broadcasts against x, also with a row an input; a name in `BASELINES`; a function
# of the inputs.
Baseline: TypeAlias = Any
_BLUR_SHARE = 12  # the blur's deviation is this part of a side
_BLUR_REACH = 3  # deviations that the blur looks to either side


def expand_baseline(baseline: Baseline, x: Batch) -> Batch:
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

    Raises:
        ValueError: it does not broadcast to `x`, is of another dtype or on another device, an unknown name, or a blur
            or mean over places of a table, which has none.
    """
    values = _make_values(baseline, x)
    rule = f"baseline: must have x's dtype and device, {x.dtype} on {x.device}"
    same = values.dtype == x.dtype and values.device == x.device
    require(same, rule, values, "baseline=torch.zeros_like(x)")
    if values.ndim == x.ndim and len(values) > 1:
        values = _follow_inputs(values, x)
    try:
        return values.expand_as(x)
    except RuntimeError:
        refuse(f"baseline: must broadcast to x {tuple(x.shape)}", baseline, "baseline=torch.zeros_like(x)")


def _make_values(baseline: Baseline, x: Batch) -> Tensor:
    """What is to be broadcast, from whatever says it."""
    if isinstance(baseline, str):
        return find_entry(BASELINES, baseline, "baseline: no baseline of that name")(x)
    if callable(baseline):
        return _make_values(baseline(x), x)
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


def _average_places(x: Batch) -> Batch:
    """The mean of each channel over all places of the input."""
    places = _find_place_axes(x, "mean")
    return x.mean(places, keepdim=True).expand_as(x)


def _blur(x: Batch) -> Batch:
    """The input under a Gaussian along each of its axes of places; beyond the border nothing counts."""
    exact = torch.promote_types(x.dtype, torch.float32)
    blurred = x.to(exact)
    for axis in _find_place_axes(x, "blur"):
        blurred = _blur_along(blurred, axis)
    return blurred.to(x.dtype)


def _blur_along(x: Batch, axis: int) -> Batch:
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


def _draw_in_range(x: Batch) -> Batch:
    """Uniform noise in each input's own range."""
    values = x.flatten(1)
    shape = (len(x), *[1] * (x.ndim - 1))
    low = values.amin(1).view(shape)
    high = values.amax(1).view(shape)
    rng = make_generator("noise baseline", 0)
    noise = torch.rand(x.shape[1:], generator=rng, dtype=torch.double).to(x)
    return low + noise * (high - low)


def _find_place_axes(x: Batch, name: str) -> tuple[int, ...]:
    """The axes behind the channels; a table has none."""
    hint = "baseline=x.mean(0, keepdim=True)  # what is usual in these inputs"
    require(x.ndim > 2, f"baseline: {name!r} is taken over places, inputs (B, C, ...)", x, hint)
    return tuple(range(2, x.ndim))


BASELINES: dict[str, Callable[[Batch], Batch]] = {
    "zero": torch.zeros_like,
    "mean": _average_places,
    "blur": _blur,
    "noise": _draw_in_range,
}
