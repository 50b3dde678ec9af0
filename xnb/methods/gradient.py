"""Gradient of the score at the input; `integrated_gradients` averages it along a path, `smoothing` around the input."""

from xnb.access.score import input_gradient
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target


@method(
    family="gradient",
    needs="gradient",
    cost="F + B",
    axioms=("dummy",),
    paper="Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034",
    shares="input_gradient",
    sign="direction",
)
def gradient(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Rate at which the score changes with each input value. Unit: score per input unit.

    .. math:: a = \nabla_x f(x)

    It says what a small change would do, not what the value contributed: where the network is
    saturated, the gradient is near zero although the evidence is decisive.

    Args:
        chunk: inputs run together; the result does not depend on it.
    """
    return input_gradient(model, x, target, chunk=chunk).clone()  # within `explain` the original is shared


@method(
    family="gradient",
    needs="gradient",
    cost="F + B",
    axioms=("dummy", "linear"),
    paper="Shrikumar et al. 2016, arXiv:1605.01713",
    shares="input_gradient",
)
def gradient_times_input(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Each input value times its gradient: its share in the score, to first order. Unit: score.

    .. math:: a = x \odot \nabla_x f(x)

    Exact for a linear model. A value of zero gets nothing, whatever it means: black pixels are never evidence.

    Args:
        chunk: inputs run together; the result does not depend on it.
    """
    return x * input_gradient(model, x, target, chunk=chunk)
