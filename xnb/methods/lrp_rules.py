"""Rules of layer-wise relevance propagation, and the tables that say which function follows which rule.

A rule returns the value of one call on a graph of its own, along which backward hands relevance from output j to
inputs i in proportion to z_ij, what i contributed to j. Rules differ in what they count as a contribution.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.functions.function_kinds import AFFINE, CONVOLUTIONS, TRANSPOSED
from xnb.access.functions.function_rules import WITHOUT_RULES
from xnb.access.functions.traced_call import Call, Rule, Rules
from xnb.check import require
from xnb.methods.lrp_division import AffineCall, Term, bind_arguments, divide_by_terms, fold_batch_norm
from xnb.methods.lrp_unweighted import RULES_WITHOUT_WEIGHTS, constant_rule, epsilon_rule, log_softmax_rule

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
    axis = x.ndim - weight.ndim + 1
    groups = x.unflatten(axis, (call.groups, -1))
    inputs = torch.cat([_positive_part(groups), _negative_part(groups)], axis + 1).flatten(axis, axis + 1)
    if not call.transposed:
        return inputs, torch.cat([of_positive(weight), of_negative(weight)], 1)
    # A transposed convolution has its inputs, not its outputs, on the first axis of the weight.
    grouped = weight.unflatten(0, (call.groups, -1))
    return inputs, torch.cat([of_positive(grouped), of_negative(grouped)], 1).flatten(0, 1)


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


def _batch_norm_rule(call: Call, *, rules: Rules) -> Tensor:
    """Fold the norm into the affine call before it and follow that one's rule; alone, it follows epsilon."""
    named = SimpleNamespace(**bind_arguments(F.batch_norm, call))
    of_batch = named.training or named.running_mean is None
    require(not of_batch, "lrp: a batch norm must have running statistics", "those of the batch", WITHOUT_RULES)
    before = call.pending(call.args[0])
    if before is None:
        return epsilon_rule(call)
    rule = rules[before.name]
    return rule(fold_batch_norm(call, before))


def _compose_table(convolution: Rule, linear: Rule, softmax: Rule = constant_rule) -> Rules:
    """The rule of every function, from those of convolutions, of linear layers and of attention weights."""
    affine = {**dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED), convolution), "linear": linear}
    batch_norm = partial(_batch_norm_rule, rules=affine)
    return {**RULES_WITHOUT_WEIGHTS, **affine, "softmax": softmax, "batch_norm": batch_norm}


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
    "epsilon": _Composite(_compose_table(epsilon_rule, epsilon_rule)),
    "gamma": _Composite(_compose_table(_gamma_rule, _gamma_rule)),
    "z_plus": _Composite(_compose_table(_z_plus_rule, _z_plus_rule)),
    "alpha_beta": _Composite(_compose_table(_alpha_beta_rule, _alpha_beta_rule)),
    "epsilon_plus": _Composite(_compose_table(_z_plus_rule, epsilon_rule)),
    "attn_lrp": _Composite(_compose_table(epsilon_rule, epsilon_rule, log_softmax_rule)),
    "attn_lrp_gamma": _Composite(_compose_table(_gamma_rule, _gamma_rule, log_softmax_rule)),
    "flat": _Composite(_compose_table(_z_plus_rule, epsilon_rule), first=_flat_rule),
}


def suggest_rule(call: Call, own_rules: Rules) -> str:
    """The line that gives a function without a rule one: as an activation, or where the shape changes as a mean.

    Args:
        own_rules: the table of the call, whose other functions keep what such a line added.
    """
    result = call.run()
    single = isinstance(result, Tensor) and isinstance(call.args[0], Tensor) and len(call.signals()) == 1
    if not single:
        return WITHOUT_RULES  # a pair, as of a packed sequence, or of two signals, has no rule of another function
    models = _name_models(own_rules)
    models[call.name] = "gelu" if result.shape == call.args[0].shape else "mean"
    added = ", ".join(f"{name!r}: rules[{model!r}]" for name, model in models.items())
    composite = f"({{**rules, {added}}}, first)"
    line = f"xnb.attribute(model, x, target, 'lrp', composite={composite})"
    return f"rules, first = xnb.methods.lrp_rules.COMPOSITES['epsilon_plus']; {line}"


def _name_models(own_rules: Rules) -> dict[str, str]:
    """For each function that only this table knows, the function whose rule it has."""
    known = COMPOSITES["epsilon_plus"].rules
    others = {name: rule for name, rule in own_rules.items() if name not in known}
    pairs = [(name, model) for name, rule in others.items() for model in ("gelu", "mean") if rule is known[model]]
    return dict(pairs)
