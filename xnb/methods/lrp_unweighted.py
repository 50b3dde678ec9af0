"""Rules of LRP for functions without weights: activations, sums, products, norms, maxima."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.functions.backward_steps import replace_gradient
from xnb.access.functions.function_kinds import (
    AXIS_MAXIMA,
    ELEMENTWISE,
    LINEAR_MAPS,
    MATRIX_PRODUCTS,
    POOLING_MAXIMA,
    PRODUCTS,
    SUMS,
)
from xnb.access.functions.traced_call import Call, Rules, keep_gradient
from xnb.access.functions.written_out import align_channels
from xnb.check import require
from xnb.methods.lrp_division import bind_arguments, divide_in_proportion, divide_relevance

_WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"
# Their values weigh what they are multiplied by.
_GATES = {"sigmoid", "hardsigmoid", "rsqrt", "reciprocal"}
_NEVER_NEGATIVE = {"relu", "relu6", "sigmoid", "hardsigmoid", "softplus", "square", "abs", "exp"}
_PICKS = ("topk", "sort", "kthvalue", "median")  # of values, as a maximum does


def epsilon_rule(call: Call) -> Tensor:
    """z_ij as added, for all that is linear in its signals; a bias absorbs (doi:10.1371/journal.pone.0130140)."""
    call = call.of_signals()
    return divide_in_proportion(call, *call.args)


def _activation_rule(call: Call) -> Tensor:
    """An elementwise function hands on all the relevance that arrives: one value in, one out (arXiv:2402.05602)."""
    value = _hand_on(call)
    if call.name in _NEVER_NEGATIVE:
        call.mark_positive(value)
    if call.name in _GATES:
        call.mark_gate(value)
    return value


def constant_rule(call: Call) -> Tensor:
    """Attention weights take nothing: all relevance goes to the values (conservative, arXiv:2202.07304)."""
    return call.value()


def log_softmax_rule(call: Call) -> Tensor:
    """R_i = x_i (R_i - s_i sum_j R_j), the gradient of a log-softmax times its input (arXiv:2402.05602)."""
    x = call.args[0]
    limits = torch.finfo(x.dtype)
    # A masked entry is minus infinity, and infinity times a relevance of zero would be NaN.
    amounts = x.detach().clamp(min=limits.min)
    log_softmax = call.run(replace_gradient(amounts, x, amounts)).clamp(min=limits.tiny).log()
    return replace_gradient(call.value(), log_softmax)


def _hand_on(call: Call) -> Tensor:
    """The value of a call with one signal, to which all relevance goes."""
    signals = call.of_signals().args
    require(
        len(signals) == 1,
        f"lrp: {call.name} must have one signal",
        f"{len(signals)} signals",
        _WITHOUT_RULES,
    )
    value = call.value()
    result = replace_gradient(value, signals[0].expand_as(value))
    if call.is_gate(signals[0]):  # 1 - gate and 2 * gate are gates too
        call.mark_gate(result)
    return result


def _sum_rule(call: Call) -> Tensor:
    """The two branches of a residual join share by what each added; a constant shifts the value and takes nothing."""
    if len(call.of_signals().args) > 1:
        return epsilon_rule(call)
    return _hand_on(call)


def _drop_gates(call: Call) -> Call:
    """The same call, in which gates count as constants, unless there is nothing else."""
    gates = [signal for signal in call.args if call.is_gate(signal)]
    if not gates or len(gates) == len(call.args):
        return call
    held = tuple(signal.detach() if call.is_gate(signal) else signal for signal in call.args)
    return Call(call.name, call.function, held, marks=call.marks).of_signals()


def _product_rule(call: Call) -> Tensor:
    """Of two signals each gets half (arXiv:2402.05602); a gate and a divisor take nothing, all goes to what they weigh.

    So a gate of an LSTM (arXiv:1706.07206), of squeeze-and-excitation, and the deviation of a norm written by hand
    are treated as attention weights are, and a constant factor changes the value, not the relevance.
    """
    if call.name == "div" and call.traced(call.args[0]) and call.traced(call.args[1]):
        call = Call(
            "div",
            call.function,
            (call.args[0], call.args[1].detach()),
            call.kwargs,
            marks=call.marks,
        )
    call = _drop_gates(call.of_signals())
    if len(call.args) > 1:
        return divide_in_proportion(call, *call.args, share=0.5)
    return _hand_on(call)


def _matrix_product_rule(call: Call) -> Tensor:
    """A matrix product with a constant or with gates is a sum; of two signals each gets half (arXiv:2402.05602)."""
    call = _drop_gates(call.of_signals())
    rule = "lrp: a product must be of two signals"
    require(len(call.args) <= 2, rule, f"{call.name}() of {len(call.args)}", _WITHOUT_RULES)
    return divide_in_proportion(call, *call.args, share=0.5 if len(call.args) > 1 else None)


def _divide_by_norm(
    call: Call, shape: Sequence[int], axes: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """A norm over some axes whose deviation counts as a constant: what is left is linear (arXiv:2202.07304).

    Args:
        shape: in which the input has these axes.
        weight: and bias, as they broadcast against the input.
    """
    (x,) = call.of_signals().args
    inputs = replace_gradient(x, x, x).reshape(shape)
    centred = inputs - inputs.mean(axes, keepdim=True)
    # Detached: the deviation divides the value and takes no relevance.
    variance = centred.detach().square().mean(axes, keepdim=True)
    z = (centred * (variance + eps).rsqrt()).reshape(x.shape)
    if weight is not None:
        z = z * weight.detach()
    if bias is not None:
        z = z + bias.detach()
    return divide_relevance(z.detach(), [z])


def _layer_norm_rule(call: Call) -> Tensor:
    """Over the last axes, as many as the norm has sizes."""
    x, shape, weight, bias, eps = bind_arguments(F.layer_norm, call).values()
    return _divide_by_norm(call, x.shape, tuple(range(-len(shape), 0)), weight, bias, eps)


def _group_norm_rule(call: Call) -> Tensor:
    """Over the channels of a group and all places."""
    x, groups, weight, bias, eps = bind_arguments(F.group_norm, call).values()
    return _divide_by_norm(
        call,
        (len(x), groups, -1),
        (2,),
        align_channels(weight, x),
        align_channels(bias, x),
        eps,
    )


def _instance_norm_rule(call: Call) -> Tensor:
    """Over the places of each channel; a norm by running statistics is linear, and has the rule of linear maps."""
    named = SimpleNamespace(**bind_arguments(F.instance_norm, call))
    x = named.input
    if not named.use_input_stats:
        return epsilon_rule(call)
    weight = align_channels(named.weight, x)
    return _divide_by_norm(
        call,
        x.shape,
        tuple(range(2, x.ndim)),
        weight,
        align_channels(named.bias, x),
        named.eps,
    )


def _max_rule(call: Call) -> Any:
    """A maximum hands relevance on to the largest value, as its own gradient does."""
    value = keep_gradient(call)
    if isinstance(value, Tensor) and call.is_positive(call.args[0]):  # with indices it is a pair
        call.mark_positive(value)
    return value


RULES_WITHOUT_WEIGHTS: Rules = {
    **dict.fromkeys((*ELEMENTWISE, "neg"), _activation_rule),
    **dict.fromkeys(LINEAR_MAPS, epsilon_rule),
    **dict.fromkeys(SUMS, _sum_rule),
    **dict.fromkeys(PRODUCTS, _product_rule),
    **dict.fromkeys(MATRIX_PRODUCTS, _matrix_product_rule),
    **dict.fromkeys((*POOLING_MAXIMA, *AXIS_MAXIMA, *_PICKS), _max_rule),
    "layer_norm": _layer_norm_rule,
    "group_norm": _group_norm_rule,
    "instance_norm": _instance_norm_rule,
}
