"""Methods that only run the model forward, on changed inputs."""

import torch

from xnb.check import require
from xnb.registry import method
from xnb.score import score
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
    baseline: float = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Drop in score when a window is painted over: `(B, 1, H, W)`. Unit: score per window.

    .. math:: a_{p} = \frac{1}{|\{w \ni p\}|} \sum_{w \ni p} \bigl( f(x) - f(x_{w \to b}) \bigr)

    Each pixel is the mean over the windows that cover it. A painted window is not natural: the drop mixes
    missing evidence with surprise at the paint, and two copies of the evidence hide each other.

    Args:
        window: side of the square that is painted over, in pixels.
        stride: step between windows, `window` if omitted (tiles that do not overlap).
        baseline: the value painted.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`, or `window` or `stride` does not fit the picture.
    """
    require(x.ndim == 4, "occlusion: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    H, W = x.shape[2:]
    step = window if stride is None else stride
    require(1 <= window <= min(H, W), f"occlusion: window must lie in [1, {min(H, W)}]", window, "window=4")
    require(1 <= step <= window, f"occlusion: stride must lie in [1, {window}], or pixels are skipped", step)
    whole = score(model, x, target, chunk=chunk)
    total, count = x.new_zeros(len(x), 1, H, W), x.new_zeros(1, 1, H, W)
    for top in starts(H, window, step):
        for left in starts(W, window, step):
            place = (..., slice(top, top + window), slice(left, left + window))
            painted = x.clone()
            painted[place] = baseline
            total[place] += (whole - score(model, painted, target, chunk=chunk)).view(-1, 1, 1, 1)
            count[place] += 1
    return total / count


def starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows that cover `length` pixels; the last window is moved in to end at the border."""
    return [*range(0, length - window, stride), length - window]
