"""Rules of layer-wise relevance propagation, and the tables that say which function follows which rule.

A rule returns the value of one call on a graph of its own, along which backward hands relevance from output j to
inputs i in proportion to z_ij, what i contributed to j. Rules differ in what they count as a contribution.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.backward_steps import replace_gradient
from xnb.access.function_rules import WITHOUT_RULES, Call, Rule, Rules, keep_gradient
from xnb.check import require
from xnb.methods.lrp_division import (
    AffineCall,
    Term,
    bind_arguments,
    divide_by_terms,
    divide_in_proportion,
    divide_relevance,
    fold_batch_norm,
)

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
AFFINE = (*CONVOLUTIONS, "linear")
ACTIVATION_FUNCTIONS = tuple("relu relu6 hardtanh leaky_relu elu celu selu sigmoid tanh softplus silu gelu".split())
AVERAGES = tuple("avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d mean sum".split())
MAXIMA = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d")

_Elementwise = Callable[[Tensor], Tensor]


def _positive_part(x: Tensor) -> Tensor:
    return x.clamp_min(0)


def _negative_part(x: Tensor) -> Tensor:
    return x.clamp_max(0)


def _split_by_sign(call: AffineCall, of_positive: _Elementwise, of_negative: _Elementwise) -> tuple[Tensor, Tensor]:
    """Inputs and weight of a call in which positive inputs meet one function of the weight, negative ones another.

    Both parts go into one call, as twice as many inputs: that costs little more than one of them. Where no input is
    negative, as behind a ReLU, the first part is all there is.
    """
    x = call.inputs
    weight = call.weight
    if call.positive or not x.numel() or float(x.detach().amin()) >= 0:
        return x, of_positive(weight)
    # Groups of a convolution stay apart: each gets its own positive and negative inputs, next to each other.
    axis = 1 if weight.ndim > 2 else x.ndim - 1
    group_count = x.shape[axis] // weight.shape[1]
    groups = x.unflatten(axis, (group_count, -1))
    inputs = torch.cat([_positive_part(groups), _negative_part(groups)], axis + 1)
    weights = torch.cat([of_positive(weight), of_negative(weight)], 1)
    return inputs.flatten(axis, axis + 1), weights


def _z_plus_terms(call: AffineCall) -> list[Term]:
    inputs, weight = _split_by_sign(call, _positive_part, _negative_part)
    return [Term(None, inputs, weight, _positive_part(call.bias))]


def _alpha_beta_terms(call: AffineCall, *, alpha: float = 2.0) -> list[Term]:
    raises = _split_by_sign(call, _positive_part, _negative_part)
    lowers = _split_by_sign(call, _negative_part, _positive_part)
    return [
        Term(alpha, *raises, _positive_part(call.bias)),
        Term(1 - alpha, *lowers, _negative_part(call.bias)),
    ]


def _gamma_terms(call: AffineCall, *, gamma: float = 0.25) -> list[Term]:
    def favour_positive(x: Tensor) -> Tensor:
        return x + gamma * _positive_part(x)

    def favour_negative(x: Tensor) -> Tensor:
        return x + gamma * _negative_part(x)

    # Each output follows the term that favours its own sign.
    above = (call.value > 0).to(call.value)
    below = (call.value < 0).to(call.value)
    raises = _split_by_sign(call, favour_positive, favour_negative)
    lowers = _split_by_sign(call, favour_negative, favour_positive)
    return [
        Term(above, *raises, favour_positive(call.bias)),
        Term(below, *lowers, favour_negative(call.bias)),
    ]


def _flat_terms(call: AffineCall) -> list[Term]:
    weight = torch.ones_like(call.weight)
    bias = torch.zeros_like(call.bias)
    return [Term(None, call.inputs, weight, bias)]


def _epsilon_rule(call: Call) -> Tensor:
    """z_ij as added, for all that is linear in its first input; a bias absorbs (doi:10.1371/journal.pone.0130140)."""
    return divide_in_proportion(call, call.args[0])


def _z_plus_rule(call: Call) -> Tensor:
    """z_ij is what raises j: x+ w+ and x- w- (arXiv:1512.02479)."""
    return divide_by_terms(call, _z_plus_terms, positive=True)


def _alpha_beta_rule(call: Call, alpha: float = 2.0) -> Tensor:
    """Alpha times the share of what raises j, less alpha - 1 times that of what lowers it (source as for epsilon)."""
    return divide_by_terms(call, partial(_alpha_beta_terms, alpha=alpha))


def _gamma_rule(call: Call, gamma: float = 0.25) -> Tensor:
    """z_ij is x_i w_ij, 1 + gamma times as much where it has the output's sign (doi:10.1007/978-3-030-28954-6_10)."""
    return divide_by_terms(call, partial(_gamma_terms, gamma=gamma))


def _flat_rule(call: Call) -> Tensor:
    """z_ij is 1: every input that reaches j gets the same (arXiv:1902.10178)."""
    return divide_by_terms(call, _flat_terms, amounts=torch.ones_like(call.args[0]), positive=True)


def _sum_rule(call: Call) -> Tensor:
    """The two branches of a residual join share by what each added; a constant shifts the value and takes nothing."""
    first, second, *_ = call.args
    if not call.traced(second):
        return keep_gradient(call)
    require(call.traced(first), "lrp: no rule for a constant less a signal", f"{call.name}()", "-x + constant")
    return divide_in_proportion(call, first, second)


def _matrix_product_rule(call: Call) -> Tensor:
    """A matrix product with a constant is a sum; of two signals each gets half (arXiv:2402.05602)."""
    first, second, *_ = call.args
    if not call.traced(second):
        return _epsilon_rule(call)
    if not call.traced(first):
        # As a call of the signal alone, with the constant bound: rules take the first argument for the signal.
        of_second = Call("matmul", partial(call.run, first), (second,), marks=call.marks)
        return _epsilon_rule(of_second)
    return divide_in_proportion(call, first, second, share=0.5)


def _layer_norm_rule(call: Call) -> Tensor:
    """A layer norm whose deviation counts as a constant: what is left is linear (arXiv:2202.07304)."""
    x, shape, weight, bias, eps = bind_arguments(F.layer_norm, call).values()
    axes = tuple(range(-len(shape), 0))
    inputs = replace_gradient(x, x, x)
    centred = inputs - inputs.mean(axes, keepdim=True)
    # Detached: the deviation divides the value and takes no relevance.
    variance = centred.detach().square().mean(axes, keepdim=True)
    scale = (variance + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.detach()
    shift = 0.0 if bias is None else bias.detach()
    z = centred * scale + shift
    return divide_relevance(z.detach(), [z])


def _constant_rule(call: Call) -> Tensor:
    """Attention weights take nothing: all relevance goes to the values (conservative, arXiv:2202.07304)."""
    return call.value()


def _log_softmax_rule(call: Call) -> Tensor:
    """R_i = x_i (R_i - s_i sum_j R_j), the gradient of a log-softmax times its input (arXiv:2402.05602)."""
    x = call.args[0]
    limits = torch.finfo(x.dtype)
    # A masked entry is minus infinity, and infinity times a relevance of zero would be NaN.
    amounts = x.detach().clamp(min=limits.min)
    log_softmax = call.run(replace_gradient(amounts, x, amounts)).clamp(min=limits.tiny).log()
    return replace_gradient(call.value(), log_softmax)


def _scaling_rule(call: Call) -> Tensor:
    """A constant factor changes the value, not the relevance; a product of two signals has no rule."""
    signals = [value for value in call.args[:2] if call.traced(value)]
    require(len(signals) == 1, "lrp: no rule for a product of two signals", f"{call.name}()", WITHOUT_RULES)
    return replace_gradient(call.value(), signals[0])


def _activation_rule(call: Call) -> Tensor:
    """Activation functions hand on all the relevance that arrives."""
    value = replace_gradient(call.value(), call.args[0])
    if call.name in {"relu", "relu6", "sigmoid", "softplus"}:
        call.mark_positive(value)
    return value


def _max_pool_rule(call: Call) -> Tensor:
    """Max pooling hands relevance on to the largest input, as its own gradient does."""
    value = keep_gradient(call)
    if isinstance(value, Tensor) and call.is_positive(call.args[0]):  # with indices it is a pair
        call.mark_positive(value)
    return value


def _batch_norm_rule(call: Call, *, rules: Rules) -> Tensor:
    """Fold the norm into the affine call before it and follow that one's rule; alone, it follows epsilon."""
    before = call.pending(call.args[0])
    if before is None:
        return _epsilon_rule(call)
    rule = rules[before.name]
    return rule(fold_batch_norm(call, before))


_RULES_WITHOUT_WEIGHTS: Rules = {
    **dict.fromkeys(ACTIVATION_FUNCTIONS, _activation_rule),
    **dict.fromkeys(AVERAGES, _epsilon_rule),
    **dict.fromkeys(("matmul", "bmm"), _matrix_product_rule),
    "layer_norm": _layer_norm_rule,
    **dict.fromkeys(MAXIMA, _max_pool_rule),
    **dict.fromkeys(("add", "sub"), _sum_rule),
    **dict.fromkeys(("mul", "div"), _scaling_rule),
}


def _build_table(convolution: Rule, linear: Rule, softmax: Rule = _constant_rule) -> Rules:
    """The rule of every function, from those of convolutions, of linear layers and of attention weights."""
    affine = {**dict.fromkeys(CONVOLUTIONS, convolution), "linear": linear}
    batch_norm = partial(_batch_norm_rule, rules=affine)
    return {**_RULES_WITHOUT_WEIGHTS, **affine, "softmax": softmax, "batch_norm": batch_norm}


def start_with_rule(rules: Rules, first: Rule) -> Rules:
    """The table for one pass in which the first function with weights follows `first`."""
    waiting = [first]

    def make_rule(name: str) -> Rule:
        def follow(call: Call) -> Tensor:
            rule = waiting.pop() if waiting else rules[name]
            return rule(call)

        return follow

    affine = {name: make_rule(name) for name in AFFINE}
    return {**rules, **affine, "batch_norm": partial(_batch_norm_rule, rules=affine)}


class _Composite(NamedTuple):
    """A table of rules, and the rule of the first function with weights, if it is another."""

    rules: Rules
    first: Rule | None = None


COMPOSITES: dict[str, _Composite] = {
    "epsilon": _Composite(_build_table(_epsilon_rule, _epsilon_rule)),
    "gamma": _Composite(_build_table(_gamma_rule, _gamma_rule)),
    "z_plus": _Composite(_build_table(_z_plus_rule, _z_plus_rule)),
    "alpha_beta": _Composite(_build_table(_alpha_beta_rule, _alpha_beta_rule)),
    "epsilon_plus": _Composite(_build_table(_z_plus_rule, _epsilon_rule)),
    "attn_lrp": _Composite(_build_table(_epsilon_rule, _epsilon_rule, _log_softmax_rule)),
    "attn_lrp_gamma": _Composite(_build_table(_gamma_rule, _gamma_rule, _log_softmax_rule)),
    "flat": _Composite(_build_table(_z_plus_rule, _epsilon_rule), first=_flat_rule),
}
