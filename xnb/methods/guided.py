"""Gradients that every ReLU changes on the way back: guided backpropagation and the deconvolutional network."""

from torch import Tensor

from xnb.access.chunking import gradient_chunks, join_chunks
from xnb.access.functions.backward_steps import rectify_gradient, replace_gradient
from xnb.access.functions.function_rules import apply_rules, rule_gradient
from xnb.access.functions.traced_call import Call, keep_gradient
from xnb.access.model_call import check_explainable
from xnb.check import require
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

_RECTIFIERS = ("relu", "relu6", "hardtanh", "clamp", "clamp_min")  # if their lower bound is zero


@method(
    family="rules",
    needs="gradient",
    cost="F + B",
    axioms=("dummy",),
    paper="Springenberg et al. 2015, arXiv:1412.6806",
    sign="direction",
)
def guided_backprop(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Gradient of which every ReLU hands back only the positive part, where it was active. Unit: score per input unit.

    .. math:: g_i = \mathbb{1}[z_i > 0]\,(g_i')^+, \qquad a = g \text{ at } x

    Here :math:`z` enters the ReLU, :math:`g'` is the gradient that arrives behind it and :math:`g` what it hands back.
    Sharp and nearly blind to the upper layers: it redraws the picture's edges whatever the class (arXiv:1810.03292).

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model has no ReLU, so the result would be the plain gradient.
    """
    return _rectified_gradient(model, x, target, chunk, "guided_backprop", gated=True)


@method(
    family="rules",
    needs="gradient",
    cost="F + B",
    axioms=("dummy",),
    paper="Zeiler & Fergus 2014, arXiv:1311.2901",
    sign="direction",
)
def deconvnet(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    r"""Gradient of which every ReLU hands back only the positive part, whether it was active or not.

    .. math:: g_i = (g_i')^+, \qquad a = g \text{ at } x

    Here :math:`g'` is the gradient that arrives behind a ReLU and :math:`g` what it hands back. Unit: score per input
    unit. Between two ReLU layers it does not depend on the picture at all, unless max pooling routes it back: read it
    as what the upper layers look for.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model has no ReLU, so the result would be the plain gradient.
    """
    return _rectified_gradient(model, x, target, chunk, "deconvnet", gated=False)


def _rectified_gradient(
    model: Model, x: Batch, target: Target, chunk: int | None, who: str, *, gated: bool
) -> Attribution:
    """The gradient, cut to its positive part at every ReLU; with `gated`, also to zero where the ReLU was inactive."""
    check_explainable(model, x, target)
    rectifiers: list[str] = []

    def rectify(call: Call) -> Tensor:
        if _lower_bound(call) != 0:  # a clamp at another bound is no ReLU
            return keep_gradient(call)
        rectifiers.append(call.name)
        if gated:
            # Cut below the ReLU: its own backward step closes the gate and makes a new tensor, free to be changed.
            return call.run(rectify_gradient(call.args[0], in_place=True))
        # Without the gate the gradient passes the ReLU as it arrives, which others may still use.
        return rectify_gradient(replace_gradient(call.value(), call.args[0]))

    surrogate = apply_rules(model, dict.fromkeys(_RECTIFIERS, rectify), who=who, others=keep_gradient)
    parts = []
    for rows in gradient_chunks(model, x, chunk):
        parts.append(rule_gradient(surrogate, x, target, rows, who).gradient)
    has_relu = not parts or bool(rectifiers)  # without an input, nothing has been called
    hint = "xnb.attribute(model, x, target, 'gradient')"
    require(has_relu, f"{who}: the model must have a ReLU", "none in a forward pass", hint)
    return join_chunks(parts, x)


def _lower_bound(call: Call) -> int | float | None:
    """The smallest value that a rectifier returns; None for a clamp that has only an upper bound."""
    if call.name in {"relu", "relu6"}:
        return 0.0
    if len(call.args) > 1:
        return call.args[1]
    if call.name == "hardtanh":
        return call.kwargs.get("min_val", -1.0)
    return call.kwargs.get("min")
