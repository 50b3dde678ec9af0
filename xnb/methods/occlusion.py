"""Occlusion: what the score loses when a part of the input is painted over."""

from collections.abc import Sequence
from math import prod
from operator import index

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.score import changed_scores, score
from xnb.access.units import INSTANCES, Axes, Units, find_unit_axes, size_by_axis
from xnb.check import require
from xnb.methods.incremental import score_by_crops
from xnb.methods.incremental.geometry import Windows
from xnb.methods.registry import method
from xnb.progress import announce_passes
from xnb.types import Attribution, Batch, Model, Target

_WINDOWS = 64  # by default: 8 along each side of a picture, 64 along a signal, 4 along each side of a volume
_SMALLEST = 4  # places along an axis that a window has by default, if there are as many; of tokens and instances one
_PICTURE = (2, 3)  # axes of its places


@method(
    family="perturbation",
    needs="forward",
    cost="(1 + (H / stride) (W / stride)) F",
    axioms=("dummy",),
    paper="Zeiler & Fergus 2014, arXiv:1311.2901",
)
@torch.no_grad()
def occlusion(
    model: Model,
    x: Batch,
    target: Target,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    units: Units = None,
    baseline: Baseline = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Drop in score when a window that slides over the input is painted over. Unit: score per window.

    .. math:: a_{p} = \frac{1}{|\{w \ni p\}|} \sum_{w \ni p} \bigl( f(x) - f(x_{w \to b}) \bigr)

    Here :math:`x_{w \to b}` has the baseline in the window :math:`w`; each pixel is the mean over the windows that
    cover it, `(B, 1, H, W)`. A painted window is not natural: the drop mixes missing evidence with surprise at the
    paint, and two copies of the evidence hide each other. In a convolutional network only what a window can reach is
    computed again, which is exact: `score_by_full_passes` is the whole method, `xnb.methods.incremental` gives the same
    numbers faster, for pictures.

    Signals `(B, C, T)` and volumes `(B, C, D, H, W)` go the same way: a window covers all channels. Of tokens
    `(B, N, D)` and bags it covers all features of neighbouring tokens, `(B, N, 1)`. Signals and tokens have one shape:
    what the model does to an input tells them apart, or `units`.

    Args:
        window: how many places it covers, one number for every axis of places or one for each, as `(12, 20)`. None:
            an eighth of each side of a picture, a quarter of a volume's, a 64th of a signal; 4 places at least. Of
            tokens and instances a 64th, one at least.
        stride: step between windows, likewise; `window` if omitted (tiles that do not overlap).
        units: axes of `x` along which windows lie, `(2,)` for the steps of a signal, `(1,)` for tokens; None:
            `xnb.access.units.find_unit_axes`, which metrics ask too.
        baseline: what is painted: a number, a tensor, "mean", "blur", "noise" or a function, as in
            `xnb.access.baselines.expand_baseline`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` has no places, it cannot be known which axes these are, or `window` or `stride` does not fit.
    """
    hint = "xnb.attribute(model, x, target, 'feature_ablation')"
    require(x.ndim > 2, "occlusion: x must have places, (B, C, ...)", x, hint)
    axes = find_unit_axes(units, x, model, "occlusion")
    windows = _place_windows(x, axes, window, stride)
    sizes = default_window(x, axes)
    announce_passes(1 + prod(windows.counts), len(x), f"window={_write_sizes(sizes)}, stride={_write_sizes(sizes)}")
    original = score(model, x, target, chunk=chunk)
    paint = expand_baseline(baseline, x, places=axes)
    painted = None
    if x.ndim == 4 and axes == _PICTURE:
        painted = score_by_crops(model, x, target, windows, paint, chunk)
    if painted is None:  # crops would save no work, or there are none: they are cut from pictures
        painted = score_by_full_passes(model, x, target, windows, paint, chunk)
    return _average_over_windows(original - painted, windows, x)


def default_window(x: Batch, axes: Axes) -> tuple[int, ...]:
    """How many places a window covers along each axis where no one says it: some 64 windows cover an input."""
    places = [x.shape[axis] for axis in axes]
    long = sum(length > 1 for length in places)
    count = round(_WINDOWS ** (1 / max(1, long)))
    smallest = 1 if axes == INSTANCES else _SMALLEST
    return tuple(min(length, max(smallest, length // count)) for length in places)


def _place_windows(
    x: Batch, axes: Axes, window: int | tuple[int, ...] | None, stride: int | tuple[int, ...] | None
) -> Windows:
    """The windows that the knobs ask for; along each axis the last one is moved in to end at the border."""
    places = tuple(x.shape[axis] for axis in axes)
    usual = default_window(x, axes)
    sizes = usual if window is None else _repeat_number(window, len(places))
    fits = len(sizes) == len(places) and all(1 <= size <= most for size, most in zip(sizes, places, strict=True))
    rule = f"occlusion: window must lie in [1, {_write_sizes(places)}]"
    require(fits, rule, window, f"window={_write_sizes(usual)}")
    # Windows stand side by side unless they are asked to overlap.
    steps = sizes if stride is None else _repeat_number(stride, len(places))
    fits = len(steps) == len(places) and all(1 <= step <= most for step, most in zip(steps, sizes, strict=True))
    rule = f"occlusion: stride must lie in [1, {_write_sizes(sizes)}], or places are skipped"
    require(fits, rule, stride, f"stride={_write_sizes(sizes)}")
    starts = tuple(map(_first_places, places, sizes, steps))
    return Windows(starts, sizes, axes)


def _repeat_number(numbers: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A number for each axis of places."""
    if isinstance(numbers, Sequence):
        return tuple(numbers)
    return (index(numbers),) * axes


def _write_sizes(sizes: tuple[int, ...]) -> str:
    """The sizes as they are written in a call, by one number if they are equal."""
    return str(sizes[0] if len(set(sizes)) == 1 else sizes)


def _first_places(length: int, window: int, stride: int) -> list[int]:
    """First places of the windows that cover an axis; the last window is moved in to end at the border."""
    return [*range(0, length - window, stride), length - window]


def score_by_full_passes(
    model: Model,
    x: Batch,
    target: Target,
    windows: Windows,
    paint: Batch,
    chunk: int | None = None,
) -> Float[Tensor, "*windows B"]:
    """Score of every input with each window painted over, by passes through the whole model, without a graph.

    Args:
        paint: what stands inside of a window.
        chunk: occluded inputs run together; the result does not depend on it.
    """
    covered = _covered_places(windows, x)

    def paint_over(draws: slice, rows: slice) -> Tensor:
        number = torch.arange(draws.start, draws.stop, device=x.device)  # the last axis is counted first
        positions = torch.unravel_index(number, windows.counts)
        inside = torch.ones_like(number, dtype=torch.bool)
        for along, position in zip(covered, positions, strict=True):
            between = [1] * (inside.ndim - 1)
            inside = inside[..., None] & along[position].view(len(number), *between, -1)
        inside = inside.view(len(number), 1, *size_by_axis(x, windows.axes))
        return torch.where(inside, paint[rows], x[rows])

    scores = changed_scores(model, x, target, paint_over, prod(windows.counts), chunk=chunk)
    return scores.view(*windows.counts, len(x))


def _covered_places(windows: Windows, x: Batch) -> list[Tensor]:
    """For each axis, which of its places each window covers, as truth values (windows, length)."""
    covered = []
    for starts, size, axis in zip(*windows, strict=True):
        behind = torch.arange(x.shape[axis]) - torch.tensor(starts)[:, None]
        inside = (behind >= 0) & (behind < size)
        covered.append(inside.to(x.device))
    return covered


def _average_over_windows(drops: Float[Tensor, "*windows B"], windows: Windows, x: Batch) -> Attribution:
    """For each place the mean drop of the windows that cover it; axes of the input that number no places have 1."""
    total = drops
    count = torch.ones((), dtype=drops.dtype, device=drops.device)
    for inside in _covered_places(windows, x):
        covered = inside.to(drops)
        total = torch.tensordot(total, covered, ([0], [0]))  # an axis of windows goes, one of places comes last
        count = count[..., None] * covered.sum(0)
    return (total / count).view(len(x), *size_by_axis(x, windows.axes))
