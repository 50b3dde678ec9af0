"""Integrated gradients: the slope collected on the way from a baseline to the input."""

from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from xnb.access.score import changed_slopes, expand_baseline
from xnb.check import require
from xnb.methods.adaptive_steps import refined
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

STEPS, MOST = 32, 1024


@method(
    family="gradient",
    needs="gradient",
    cost="steps (F + B)",
    axioms=("dummy", "linear", "complete"),
    paper="Sundararajan, Taly & Yan 2017, arXiv:1703.01365",
)
def integrated_gradients(
    model: Model,
    x: Batch,
    target: Target,
    *,
    baseline: Tensor | float = 0.0,
    steps: int | None = None,
    quadrature: Literal["gauss_legendre", "midpoint"] = "gauss_legendre",
    tolerance: float | None = None,
    chunk: int | None = None,
) -> Attribution:
    r"""Share of each input value in the change of score from `baseline` to `x`. Unit: score.

    .. math:: a = (x - b) \odot \int_0^1 \nabla f\bigl(b + t(x - b)\bigr)\,dt

    `a` adds up to :math:`f(x) - f(b)` the closer the more `steps`: exponentially fast for a smooth network, as
    1 / steps where a ReLU network's kinks set the pace. What equals the baseline gets nothing: with zeros,
    black pixels are never evidence, and black is a colour.

    Args:
        baseline: where the path starts, one number or a tensor that broadcasts against `x`.
        steps: nodes on the path, at least 1, 32 if omitted; with `tolerance`, about the most that one input may
            take, 1,024 if omitted.
        quadrature: where the nodes lie: at Gauss-Legendre's, or in the middle of equal steps.
        tolerance: halve steps, of each input where its own sum is worst, until the sum misses the change of score
            by no more than this share of it, and not only because larger misses cancel. Easy inputs then take few
            steps and hard ones many.
        chunk: inputs run together; None chooses a size that stays in cache. The result does not depend on it.

    Raises:
        ValueError: `steps < 1`, or `baseline` does not broadcast to `x`.
    """
    steps = steps if steps is not None else STEPS if tolerance is None else MOST
    require(steps >= 1, "integrated_gradients: steps must be at least 1", steps, "steps=32")
    start = expand_baseline(baseline, x)
    if tolerance is not None:
        return refined(model, x, target, start, steps, tolerance, chunk)
    nodes, weights = (torch.from_numpy(values).to(x) for values in quadratures(quadrature, steps))
    way, total = x - start, torch.zeros_like(x)

    def change(some: slice, part: slice) -> Tensor:
        return start[part] + nodes[some].view(-1, *[1] * x.ndim) * way[part]

    for some, part, slopes in changed_slopes(model, x, target, change, steps, chunk=chunk):
        total[part] += torch.tensordot(weights[some], slopes, 1)
    return way * total


@cache
def quadratures(name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, 1] and weights that add up to 1."""
    if name == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    known = name == "gauss_legendre"
    require(known, "integrated_gradients: quadrature must be gauss_legendre or midpoint", name, "quadrature='midpoint'")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2
