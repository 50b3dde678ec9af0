"""Rules of layer-wise relevance propagation, and the tables that say which function follows which rule.

A rule returns the value of one call on a graph of its own, along which backward hands relevance from output j to
inputs i: in proportion to z_ij, what i added to j. Rules differ in what they count as added.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.function_rules import WITHOUT_RULES, Call, Rule, Rules, counted, native, replaced
from xnb.check import require
from xnb.methods.proportion import ALL, EPSILON, Divided, proportional

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
AFFINE = (*CONVOLUTIONS, "linear")
ACTIVATIONS = tuple("relu relu6 hardtanh leaky_relu elu celu selu sigmoid tanh softplus silu gelu".split())
AVERAGES = tuple("avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d mean sum".split())
MAXIMA = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d")
Pick = Callable[[Tensor], Tensor]
Share = tuple[Tensor | float, Tensor, Tensor, Tensor]  # of the relevance, for what inputs, weight and bias add up to
Shares = Callable[[Tensor, Tensor, Tensor, Tensor, bool], list[Share]]  # inputs (known positive?), weight, bias, value


def affine(call: Call) -> Call:
    """The call as `(input, weight, bias, ...)`, bias zero if there is none."""
    given = dict(zip(("input", "weight", "bias"), call.args, strict=False)) | dict(call.kwargs)
    weight, bias = given["weight"].detach(), given.get("bias")
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    rest = {name: value for name, value in call.kwargs.items() if name not in {"input", "weight", "bias"}}
    return replace(call, args=(given["input"], weight, bias, *call.args[3:]), kwargs=rest)


def folded(norm: Call, before: Call) -> Call:
    """The affine call `before` with the batch norm behind it folded into its weight and bias."""
    bound = inspect.signature(F.batch_norm).bind(*norm.args, **norm.kwargs)
    bound.apply_defaults()
    given, before = bound.arguments, affine(before)
    x, weight, bias, *rest = before.args
    gain = 1.0 if given["weight"] is None else given["weight"].detach()
    scale = (given["running_var"] + given["eps"]).rsqrt() * gain
    shift = 0.0 if given["bias"] is None else given["bias"].detach()
    args = (x, weight * scale.view(-1, *[1] * (weight.ndim - 1)), (bias - given["running_mean"]) * scale + shift, *rest)
    return replace(before, args=args, known=norm.value())


def shared(call: Call, shares: Shares, *, amounts: Tensor | None = None, positive: bool = False) -> Tensor:
    """The call's value; its relevance is divided by `shares`, inputs count as `amounts`, and sums may be `positive`."""
    call = affine(call)
    x, weight, bias, *_ = call.args
    value, inputs = call.value(), counted(x, amounts)
    terms = shares(inputs, weight, bias, value, call.is_positive(x))
    sums = [call.on(part, w, b + EPSILON if positive else b) for _, part, w, b in terms]
    return Divided.apply(value, positive, tuple(share for share, *_ in terms), *sums)


def raising(x: Tensor) -> Tensor:
    return x.clamp_min(0)


def lowering(x: Tensor) -> Tensor:
    return x.clamp_max(0)


def halves(x: Tensor, weight: Tensor, above: Pick, below: Pick, known_positive: bool) -> tuple[Tensor, Tensor]:
    """Positive inputs with one pick of the weight, negative ones with another; behind a ReLU there are none of those.

    Both in one call, as twice as many inputs: that costs little more than one half.
    """
    if known_positive or not x.numel() or float(x.detach().amin()) >= 0:
        return x, above(weight)
    axis = 1 if weight.ndim > 2 else x.ndim - 1
    groups = x.unflatten(axis, (x.shape[axis] // weight.shape[1], -1))
    both = torch.cat([raising(groups), lowering(groups)], axis + 1).flatten(axis, axis + 1)
    return both, torch.cat([above(weight), below(weight)], 1)


def _z_plus(x: Tensor, w: Tensor, b: Tensor, value: Tensor, known: bool) -> list[Share]:
    return [(ALL, *halves(x, w, raising, lowering, known), raising(b))]


def _alpha_beta(x: Tensor, w: Tensor, b: Tensor, value: Tensor, known: bool, *, alpha: float = 2.0) -> list[Share]:
    return [
        (alpha, *halves(x, w, raising, lowering, known), raising(b)),
        (1 - alpha, *halves(x, w, lowering, raising, known), lowering(b)),
    ]


def _gamma(x: Tensor, w: Tensor, b: Tensor, value: Tensor, known: bool, *, gamma: float = 0.25) -> list[Share]:
    def up(t: Tensor) -> Tensor:
        return t + gamma * raising(t)

    def down(t: Tensor) -> Tensor:
        return t + gamma * lowering(t)

    return [
        ((value > 0).to(value), *halves(x, w, up, down, known), up(b)),
        ((value < 0).to(value), *halves(x, w, down, up, known), down(b)),
    ]


def _flat(x: Tensor, w: Tensor, b: Tensor, value: Tensor, known: bool) -> list[Share]:
    return [(ALL, x, torch.ones_like(w), torch.zeros_like(b))]


def epsilon(call: Call) -> Tensor:
    """z_ij as added, for all that is linear in its first input; a bias absorbs (doi:10.1371/journal.pone.0130140)."""
    return proportional(call, call.args[0])


def z_plus(call: Call) -> Tensor:
    """z_ij = what raises j: x+ w+ and x- w- (arXiv:1512.02479)."""
    return shared(call, _z_plus, positive=True)


def alpha_beta(call: Call, alpha: float = 2.0) -> Tensor:
    """Alpha times the shares of what raises j, less alpha - 1 times those of what lowers it (as epsilon)."""
    return shared(call, partial(_alpha_beta, alpha=alpha))


def gamma(call: Call, gamma: float = 0.25) -> Tensor:
    """z_ij = x_i w_ij, 1 + gamma times where it has the output's sign (doi:10.1007/978-3-030-28954-6_10)."""
    return shared(call, partial(_gamma, gamma=gamma))


def flat(call: Call) -> Tensor:
    """z_ij = 1: every input that reaches j gets the same (arXiv:1902.10178)."""
    return shared(call, _flat, amounts=torch.ones_like(call.args[0]), positive=True)


def joined(call: Call) -> Tensor:
    """A residual join shares by what was added; a constant shifts the value and takes nothing."""
    first, second, *_ = call.args
    if not call.traced(second):
        return native(call)
    require(call.traced(first), "lrp: no rule for a constant less a signal", f"{call.name}()", "-x + constant")
    return proportional(call, first, second)


def product(call: Call) -> Tensor:
    """A matrix product with a constant is a sum; of two signals each gets half (arXiv:2402.05602)."""
    first, second, *_ = call.args
    if not call.traced(second):
        return epsilon(call)
    if not call.traced(first):
        return epsilon(Call("matmul", lambda signal: call.on(first, signal), (second,), marks=call.marks))
    return proportional(call, first, second, share=0.5)


def normed(call: Call) -> Tensor:
    """A layer norm whose deviation is a constant: what is left is linear (arXiv:2202.07304)."""
    bound = inspect.signature(F.layer_norm).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    x, shape, weight, bias, eps = bound.arguments.values()
    axes = tuple(range(-len(shape), 0))
    inputs = replaced(x, x, x)
    centred = inputs - inputs.mean(axes, keepdim=True)
    scale = (centred.detach().square().mean(axes, keepdim=True) + eps).rsqrt()
    z = centred * (scale if weight is None else scale * weight.detach()) + (0.0 if bias is None else bias.detach())
    return Divided.apply(z.detach(), False, (ALL,), z)


def constant(call: Call) -> Tensor:
    """Attention weights take nothing: all relevance goes to the values (conservative, arXiv:2202.07304)."""
    return call.value()


def attended(call: Call) -> Tensor:
    """R_i = x_i (R_i - s_i sum_j R_j), the slope of a log-softmax times its input (arXiv:2402.05602)."""
    x, limits = call.args[0], torch.finfo(call.args[0].dtype)
    amounts = x.detach().clamp(min=limits.min)
    found = call.on(replaced(amounts, x, amounts)).clamp(min=limits.tiny).log()
    return replaced(call.value(), found)


def scaled(call: Call) -> Tensor:
    """A constant factor changes the value, not the relevance; a product of two signals has no rule."""
    signals = [value for value in call.args[:2] if call.traced(value)]
    require(len(signals) == 1, "lrp: no rule for a product of two signals", f"{call.name}()", WITHOUT_RULES)
    return replaced(call.value(), signals[0])


def passed(call: Call) -> Tensor:
    """Activations hand on what arrives."""
    value = replaced(call.value(), call.args[0])
    if call.name in {"relu", "relu6", "sigmoid", "softplus"}:
        call.mark_positive(value)
    return value


def maximal(call: Call) -> Tensor:
    """Max pooling hands on to the largest, as its own gradient does."""
    value = native(call)
    if isinstance(value, Tensor) and call.is_positive(call.args[0]):  # with indices it is a pair
        call.mark_positive(value)
    return value


def batch_norm(call: Call, *, rules: Rules) -> Tensor:
    """Folded into the affine function before it; alone, an affine function of its own under epsilon."""
    before = call.pending(call.args[0])
    return epsilon(call) if before is None else rules[before.name](folded(call, before))


def composite(convolution: Rule, linear: Rule) -> Rules:
    """A whole table from the rules of the two kinds of function that have weights."""
    rules = {
        **dict.fromkeys(CONVOLUTIONS, convolution),
        "linear": linear,
        **dict.fromkeys(ACTIVATIONS, passed),
        **dict.fromkeys(AVERAGES, epsilon),
        **dict.fromkeys(("matmul", "bmm"), product),
        "layer_norm": normed,
        "softmax": constant,
        **dict.fromkeys(MAXIMA, maximal),
        **dict.fromkeys(("add", "sub"), joined),
        **dict.fromkeys(("mul", "div"), scaled),
    }
    return {**rules, "batch_norm": partial(batch_norm, rules=rules)}


def entering(rules: Rules, first: Rule) -> Rules:
    """The table for one pass in which the first function with weights follows `first`."""
    waiting = [first]

    def choose(name: str) -> Rule:
        return lambda call: (waiting.pop() if waiting else rules[name])(call)

    chosen = {name: choose(name) for name in AFFINE}
    return {**rules, **chosen, "batch_norm": partial(batch_norm, rules=chosen)}


COMPOSITES: dict[str, tuple[Rules, Rule | None]] = {  # the table, and the rule where the input enters if another
    "epsilon": (composite(epsilon, epsilon), None),
    "gamma": (composite(gamma, gamma), None),
    "z_plus": (composite(z_plus, z_plus), None),
    "alpha_beta": (composite(alpha_beta, alpha_beta), None),
    "epsilon_plus": (composite(z_plus, epsilon), None),
    "attn_lrp": ({**composite(epsilon, epsilon), "softmax": attended}, None),
    "attn_lrp_gamma": ({**composite(gamma, gamma), "softmax": attended}, None),
    "flat": (composite(z_plus, epsilon), flat),
}
