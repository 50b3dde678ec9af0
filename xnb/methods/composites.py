"""Rules of layer-wise relevance propagation, and the tables that say which function follows which rule.

A rule returns the value of one call on a graph of its own, along which backward hands relevance from output j to
inputs i: in proportion to what i added to j. Rules differ in what they count as added, z_ij:

    R_i = sum_j  z_ij / (z_j + eps sign z_j)  R_j,    z_j = sum_i z_ij.
"""

import inspect
from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.check import require
from xnb.rewire import WITHOUT_RULES, Call, Replaced, Rule, Rules, native, replaced

ALL = 1.0  # the share of a group that is the only one
EPSILON = 1e-6  # keeps denominators from zero and absorbs what is weaker
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
AFFINE = (*CONVOLUTIONS, "linear")
ACTIVATIONS = tuple("relu relu6 hardtanh leaky_relu elu celu selu sigmoid tanh softplus silu gelu".split())
AVERAGES = tuple("avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d mean sum".split())
MAXIMA = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d")
Part = tuple[Tensor, Tensor, Tensor]  # inputs, weight, bias: what they add up to is one term of z
Shares = Callable[[Tensor, Tensor, Tensor, Tensor], list[tuple[Tensor | float, list[Part]]]]


def reciprocal(z: Tensor, *, positive: bool = False) -> Tensor:
    """1 / (z + eps sign z); in place after the first step, as these passes cost what the arithmetic itself costs."""
    if positive:
        return z.detach().add(EPSILON).reciprocal_()
    return torch.copysign(z.new_tensor(EPSILON), z.detach()).add_(z.detach()).reciprocal_()


def times(x: Tensor, part: Tensor | None = None) -> Tensor:
    """`part` of the input (all of it if omitted), whose relevance is what arrives times `part`."""
    part = x.detach() if part is None else part
    return replaced(part, x, part)


def affine(call: Call) -> Call:
    """The call as `(input, weight, bias, ...)`, bias zero if there is none."""
    given = dict(zip(("input", "weight", "bias"), call.args, strict=False)) | dict(call.kwargs)
    weight, bias = given["weight"].detach(), given.get("bias")
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    rest = {name: value for name, value in call.kwargs.items() if name not in {"input", "weight", "bias"}}
    return Call(call.name, call.function, (given["input"], weight, bias, *call.args[3:]), rest, call.known)


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
    return Call(before.name, before.function, args, before.kwargs, norm.value())


def shared(call: Call, shares: Shares, *, positive: bool = False) -> Tensor:
    """The call's value; its relevance goes to each group of parts by the group's share; `positive` parts add up so."""
    call = affine(call)
    x, weight, bias, *_ = call.args
    value, carriers = call.value(), []
    for share, parts in shares(x.detach(), weight, bias, value):
        z = reduce(torch.add, [call.on(times(x, part), w, b) for part, w, b in parts])
        carriers += [z, reciprocal(z, positive=positive) if share is ALL else reciprocal(z).mul_(share)]
    return Replaced.apply(value, *carriers)


def halves(x: Tensor, above: Tensor, below: Tensor, bias: Tensor) -> list[Part]:
    """Positive inputs with one weight, negative ones with another; behind a ReLU there are none and half the work."""
    if not x.numel() or float(x.amin()) >= 0:
        return [(x, above, bias)]
    return [(x.clamp(min=0), above, bias), (x.clamp(max=0), below, torch.zeros_like(bias))]


def _z_plus(x: Tensor, w: Tensor, b: Tensor, value: Tensor) -> list[tuple[Tensor | float, list[Part]]]:
    return [(ALL, halves(x, w.clamp(min=0), w.clamp(max=0), b.clamp(min=0)))]


def _alpha_beta(
    x: Tensor, w: Tensor, b: Tensor, value: Tensor, *, alpha: float = 2.0
) -> list[tuple[Tensor | float, list[Part]]]:
    up, down = (w.clamp(min=0), b.clamp(min=0)), (w.clamp(max=0), b.clamp(max=0))
    return [(alpha, halves(x, up[0], down[0], up[1])), (1 - alpha, halves(x, down[0], up[0], down[1]))]


def _gamma(
    x: Tensor, w: Tensor, b: Tensor, value: Tensor, *, gamma: float = 0.25
) -> list[tuple[Tensor | float, list[Part]]]:
    up, down = w + gamma * w.clamp(min=0), w + gamma * w.clamp(max=0)
    return [
        ((value > 0).to(value), halves(x, up, down, b + gamma * b.clamp(min=0))),
        ((value < 0).to(value), halves(x, down, up, b + gamma * b.clamp(max=0))),
    ]


def _flat(x: Tensor, w: Tensor, b: Tensor, value: Tensor) -> list[tuple[Tensor | float, list[Part]]]:
    return [(ALL, [(torch.ones_like(x), torch.ones_like(w), torch.zeros_like(b))])]


def epsilon(call: Call) -> Tensor:
    """z_ij = x_i w_ij as added; the bias absorbs its share (doi:10.1371/journal.pone.0130140)."""
    return summed(affine(call))


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
    return shared(call, _flat)


def summed(call: Call) -> Tensor:
    """Epsilon rule of any function that is linear in its first input, up to a constant."""
    z = call.on(times(call.args[0]))
    return replaced(z, z, reciprocal(z))


def joined(call: Call) -> Tensor:
    """A residual join shares by what was added; a constant shifts the value and takes nothing."""
    first, second, *_ = call.args
    if not call.traced(second):
        return native(call)
    require(call.traced(first), "lrp: no rule for a constant less a signal", f"{call.name}()", "-x + constant")
    z = call.on(times(first), times(second))
    return replaced(z, z, reciprocal(z))


def product(call: Call) -> Tensor:
    """A matrix product with a constant is a sum; of two signals each gets half (arXiv:2402.05602)."""
    first, second, *_ = call.args
    if not call.traced(second):
        return summed(call)
    if not call.traced(first):
        z = call.on(first, times(second))
        return replaced(z, z, reciprocal(z))
    z = call.on(times(first), times(second))
    return replaced(z, z, reciprocal(z).div_(2))


def normed(call: Call) -> Tensor:
    """A layer norm whose deviation is a constant: what is left is linear (arXiv:2202.07304)."""
    bound = inspect.signature(F.layer_norm).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    x, shape, weight, bias, eps = bound.arguments.values()
    axes = tuple(range(-len(shape), 0))
    inputs = times(x)
    centred = inputs - inputs.mean(axes, keepdim=True)
    scale = (centred.detach().square().mean(axes, keepdim=True) + eps).rsqrt()
    z = centred * (scale if weight is None else scale * weight.detach()) + (0.0 if bias is None else bias.detach())
    return replaced(z, z, reciprocal(z))


def constant(call: Call) -> Tensor:
    """Attention weights take nothing: all relevance goes to the values (conservative, arXiv:2202.07304)."""
    return call.value()


def attended(call: Call) -> Tensor:
    """R_i = x_i (R_i - s_i sum_j R_j), the slope of a log-softmax times its input (arXiv:2402.05602)."""
    x = call.args[0]
    found = call.on(times(x, x.detach().clamp(min=torch.finfo(x.dtype).min))).clamp(min=torch.finfo(x.dtype).tiny).log()
    return replaced(call.value(), found)


def scaled(call: Call) -> Tensor:
    """A constant factor changes the value, not the relevance; a product of two signals has no rule."""
    signals = [value for value in call.args[:2] if call.traced(value)]
    require(len(signals) == 1, "lrp: no rule for a product of two signals", f"{call.name}()", WITHOUT_RULES)
    return replaced(call.value(), signals[0])


def passed(call: Call) -> Tensor:
    """Activations hand on what arrives."""
    return replaced(call.value(), call.args[0])


def batch_norm(call: Call, *, rules: Rules) -> Tensor:
    """Folded into the affine function before it; alone, an affine function of its own under epsilon."""
    before = getattr(call.args[0], "_pending", None)
    return summed(call) if before is None else rules[before.name](folded(call, before))


def composite(convolution: Rule, linear: Rule) -> Rules:
    """A whole table from the rules of the two kinds of function that have weights."""
    rules = {
        **dict.fromkeys(CONVOLUTIONS, convolution),
        "linear": linear,
        **dict.fromkeys(ACTIVATIONS, passed),
        **dict.fromkeys(AVERAGES, summed),
        **dict.fromkeys(("matmul", "bmm"), product),
        "layer_norm": normed,
        "softmax": constant,
        **dict.fromkeys(MAXIMA, native),
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
