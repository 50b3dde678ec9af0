"""Integrated gradients: the gradient averaged along the straight path from a baseline to the input."""

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.score import changed_gradients
from xnb.check import require
from xnb.methods.adaptive_steps import integrate_adaptively
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

_STEPS = 32  # by default
_MOST_STEPS = 1024  # by default, where a tolerance decides how many are taken


class _Quadrature(NamedTuple):
    """Where on a path of length 1 the gradient is taken, and with which weights, which add up to 1."""

    nodes: np.ndarray
    weights: np.ndarray


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
    baseline: Baseline = 0.0,
    steps: int | None = None,
    quadrature: Literal["gauss_legendre", "midpoint"] = "gauss_legendre",
    tolerance: float | None = None,
    chunk: int | None = None,
) -> Attribution:
    r"""Share of each input value in the change of score along the straight path from `baseline` to `x`. Unit: score.

    .. math:: a = (x - b) \odot \int_0^1 \nabla f\bigl(b + t(x - b)\bigr)\,dt

    Here :math:`t` goes from the baseline, 0, to the input, 1. With more `steps`, the sum of `a` comes closer to
    :math:`f(x) - f(b)`: exponentially fast for a smooth network, as 1 / steps for a ReLU network, because of its kinks.
    A value that equals the baseline gets nothing: with zeros, black pixels are never evidence, and black is a colour.

    Args:
        baseline: where the path starts: a number, a tensor, "mean", "blur", "noise" or a function, as in
            `xnb.access.baselines.expand_baseline`.
        steps: nodes on the path, at least 1, 32 if omitted; with `tolerance`, about the most that one input may
            take, 1,024 if omitted.
        quadrature: the Gauss-Legendre rule, or the midpoints of equal steps.
        tolerance: halve the worst steps of each input until its sum misses the change of score by no more than this
            share of it, and not only because larger misses cancel. Easy inputs then take few steps, hard ones many.
        chunk: inputs run together; None chooses a size that stays in cache. The result does not depend on it.

    Raises:
        ValueError: `steps < 1`, or `baseline` does not broadcast to `x`.
    """
    if steps is None:
        steps = _STEPS if tolerance is None else _MOST_STEPS
    require(steps >= 1, "integrated_gradients: steps must be at least 1", steps, "steps=32")
    start = expand_baseline(baseline, x, model)
    if tolerance is not None:
        return integrate_adaptively(model, x, target, start, steps, tolerance, chunk)
    nodes, weights = (torch.from_numpy(values).to(x) for values in _choose_quadrature(quadrature, steps))
    difference = x - start
    total = torch.zeros_like(x)

    def move_along_path(draws: slice, rows: slice) -> Tensor:
        times = nodes[draws].view(-1, *[1] * x.ndim)
        return start[rows] + times * difference[rows]

    # The weighted sum is taken block by block: all gradients of a path at once would be `steps` times the batch.
    for draws, rows, gradients in changed_gradients(model, x, target, move_along_path, steps, chunk=chunk):
        total[rows] += torch.tensordot(weights[draws], gradients, 1)
    return difference * total


@cache
def _choose_quadrature(name: str, steps: int) -> _Quadrature:
    """Places on the path, in [0, 1], and their weights, which add up to 1."""
    if name == "midpoint":
        return _Quadrature((np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps))
    known = name == "gauss_legendre"
    require(known, "integrated_gradients: quadrature must be gauss_legendre or midpoint", name, "quadrature='midpoint'")
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1], where the weights add up to 2
    return _Quadrature((nodes + 1) / 2, weights / 2)
