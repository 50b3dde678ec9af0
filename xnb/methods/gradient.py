"""Methods that ask the model for its slope."""

import numpy as np
import torch
from torch import Tensor

from xnb.check import require
from xnb.registry import method
from xnb.score import slope
from xnb.types import Attribution, Batch, Model, Target


@method(
    family="gradient",
    needs="gradient",
    cost="F + B",
    axioms=("dummy",),
    paper="Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034",
)
def gradient(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""How fast the score changes with each input value, :math:`a = \nabla_x f(x)`. Unit: score per input unit.

    It says what a small change would do, not what the value contributed: where the network is
    saturated it is near zero although the evidence is decisive.
    """
    return slope(model, x, target, chunk=chunk)


@method(
    family="gradient",
    needs="gradient",
    cost="F + B",
    axioms=("dummy", "linear"),
    paper="Shrikumar et al. 2016, arXiv:1605.01713",
)
def gradient_times_input(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""First-order share of each input value in the score, :math:`a = x \odot \nabla_x f(x)`. Unit: score.

    Exact for a linear model. A value of zero gets nothing, whatever it means: black pixels are never evidence.
    """
    return x * slope(model, x, target, chunk=chunk)


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
    steps: int = 32,
    chunk: int | None = None,
) -> Attribution:
    r"""Share of each input value in the change of score from `baseline` to `x`. Unit: score.

    .. math:: a = (x - b) \odot \int_0^1 \nabla f\bigl(b + t(x - b)\bigr)\,dt

    The integral is a Gauss-Legendre sum, so `a` adds up to :math:`f(x) - f(b)` the closer the more
    `steps`; a ReLU network's kinks set the pace. What equals the baseline gets nothing: with zeros,
    black pixels are never evidence, and black is a colour.

    Args:
        baseline: where the path starts, one number or a tensor that broadcasts against `x`.
        steps: nodes on the path, at least 1.
        chunk: inputs run together; None chooses a size that stays in cache. The result does not depend on it.

    Raises:
        ValueError: `steps < 1`, or `baseline` does not broadcast to `x`.
    """
    require(steps >= 1, "integrated_gradients: steps must be at least 1", steps, "steps=32")
    start = _expanded(baseline, x)
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]; the weights add up to 2
    total = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += weight * slope(model, start + node * (x - start), target, chunk=chunk)
    return (x - start) * total


def _expanded(baseline: Tensor | float, x: Batch) -> Batch:
    given = baseline if isinstance(baseline, Tensor) else x.new_tensor(baseline)
    try:
        return given.expand_as(x)
    except RuntimeError:
        require(False, f"baseline: must broadcast to x {tuple(x.shape)}", baseline, "baseline=torch.zeros_like(x)")
