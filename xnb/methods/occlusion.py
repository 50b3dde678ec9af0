"""Occlusion: what the score loses when a part of the picture is painted over."""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.baselines import expand_baseline
from xnb.access.score import changed_scores, score
from xnb.check import require
from xnb.methods.incremental import score_by_crops
from xnb.methods.incremental.geometry import Windows
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target


@method(
    family="perturbation",
    needs="forward",
    cost="1 + (H / stride) (W / stride) F",
    axioms=("dummy",),
    paper="Zeiler & Fergus 2014, arXiv:1311.2901",
)
@torch.no_grad()
def occlusion(
    model: Model,
    x: Batch,
    target: Target,
    *,
    window: int = 4,
    stride: int | None = None,
    baseline: Tensor | float = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Drop in score when a window is painted over: `(B, 1, H, W)`. Unit: score per window.

    .. math:: a_{p} = \frac{1}{|\{w \ni p\}|} \sum_{w \ni p} \bigl( f(x) - f(x_{w \to b}) \bigr)

    Each pixel is the mean over the windows that cover it. A painted window is not natural: the drop mixes
    missing evidence with surprise at the paint, and two copies of the evidence hide each other. In a convolutional
    network only what a window can reach is computed again, which is exact: `score_by_full_passes` is the whole
    method, `xnb.methods.incremental` gives the same numbers faster.

    Args:
        window: side of the square that is painted over, in pixels.
        stride: step between windows, `window` if omitted (tiles that do not overlap).
        baseline: what is painted, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`, or `window` or `stride` does not fit the picture.
    """
    require(x.ndim == 4, "occlusion: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    H, W = x.shape[2:]
    step = window if stride is None else stride
    largest = min(H, W)
    require(1 <= window <= largest, f"occlusion: window must lie in [1, {largest}]", window, "window=4")
    require(1 <= step <= window, f"occlusion: stride must lie in [1, {window}], or pixels are skipped", step)
    windows = Windows(_first_pixels(H, window, step), _first_pixels(W, window, step), window)
    original = score(model, x, target, chunk=chunk)
    paint = expand_baseline(baseline, x)
    painted = score_by_crops(model, x, target, windows, paint, chunk)
    if painted is None:  # crops would save no work
        painted = score_by_full_passes(model, x, target, windows, paint, chunk)
    return _average_over_windows(original - painted, windows, x)


def score_by_full_passes(
    model: Model,
    x: Float[Tensor, "B C H W"],
    target: Target,
    windows: Windows,
    paint: Float[Tensor, "B C H W"],
    chunk: int | None = None,
) -> Float[Tensor, "R L B"]:
    """Score of every input with each window painted over, by passes through the whole model, without a graph.

    Args:
        paint: what stands inside of a window.
        chunk: occluded inputs run together; the result does not depend on it.
    """
    tops, lefts, size = windows
    in_rows = _covered_pixels(tops, size, x.shape[2]).to(x.device)
    in_columns = _covered_pixels(lefts, size, x.shape[3]).to(x.device)

    def paint_over(draws: slice, rows: slice) -> Tensor:
        number = torch.arange(draws.start, draws.stop, device=x.device)  # windows are numbered row by row
        row = in_rows[number // len(lefts)]
        column = in_columns[number % len(lefts)]
        inside = row[:, :, None] & column[:, None, :]
        return torch.where(inside[:, None, None], paint[rows], x[rows])

    count = len(tops) * len(lefts)
    scores = changed_scores(model, x, target, paint_over, count, chunk=chunk)
    return scores.view(len(tops), len(lefts), len(x))


def _covered_pixels(starts: list[int], size: int, length: int) -> Tensor:
    """For each window the pixels that it covers along one axis, as truth values (windows, length)."""
    behind = torch.arange(length) - torch.tensor(starts)[:, None]
    return (behind >= 0) & (behind < size)


def _average_over_windows(drops: Float[Tensor, "R L B"], windows: Windows, x: Batch) -> Attribution:
    """For each pixel the mean drop of the windows that cover it, `(B, 1, H, W)`."""
    tops, lefts, size = windows
    rows = _covered_pixels(tops, size, x.shape[2]).to(drops)
    columns = _covered_pixels(lefts, size, x.shape[3]).to(drops)
    total = torch.einsum("rcb,rh,cw->bhw", drops, rows, columns)
    count = rows.sum(0)[:, None] * columns.sum(0)
    return (total / count).unsqueeze(1)


def _first_pixels(length: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows that cover `length` pixels; the last window is moved in to end at the border."""
    return [*range(0, length - window, stride), length - window]
