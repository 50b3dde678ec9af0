"""Methods that only run the model forward, on changed inputs."""

import torch
from torch import Tensor

from xnb.access.regions import expanded
from xnb.access.score import score
from xnb.check import require
from xnb.methods.incremental import Windows, covered, occluded_scores
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
    network only what a window can reach is computed again, which is exact.

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
    require(1 <= window <= min(H, W), f"occlusion: window must lie in [1, {min(H, W)}]", window, "window=4")
    require(1 <= step <= window, f"occlusion: stride must lie in [1, {window}], or pixels are skipped", step)
    windows = Windows(starts(H, window, step), starts(W, window, step), window)
    drops = score(model, x, target, chunk=chunk) - occluded_scores(
        model, x, target, windows, expanded(baseline, x), chunk=chunk
    )
    return averaged(drops, windows, x)


def averaged(drops: Tensor, windows: Windows, x: Batch) -> Attribution:
    """For each pixel the mean over the windows that cover it, `(B, 1, H, W)`, from drops `(rows, columns, B)`."""
    rows, columns = (
        covered(starts, windows.size, length).to(drops) for starts, length in zip(windows[:2], x.shape[2:], strict=True)
    )
    total = torch.einsum("rcb,rh,cw->bhw", drops, rows, columns)
    return (total / (rows.sum(0)[:, None] * columns.sum(0))).unsqueeze(1)


def starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows that cover `length` pixels; the last window is moved in to end at the border."""
    return [*range(0, length - window, stride), length - window]
