"""DeepLIFT: differences from a reference, followed through the network."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from xnb.access.function_rules import (
    WITHOUT_RULES,
    Call,
    ReplacedGradient,
    Rules,
    apply_rules,
    keep_gradient,
    replace_gradient,
)
from xnb.access.score import check_explainable, chunk_gradient, chunk_logits, chunks, expand_baseline, join_chunks
from xnb.check import require
from xnb.methods.lrp_rules import ACTIVATIONS, AVERAGES, CONVOLUTIONS, MAXIMA
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

TINY = 1e-10  # below it a difference counts as none and the slope takes the place of the ratio
Seen = tuple[str, Tensor, Tensor]  # a function's name, its input, its value


@method(
    family="rules",
    needs="gradient",
    cost="2F + B",
    axioms=("complete", "linear", "dummy"),
    paper="Shrikumar et al. 2017, arXiv:1704.02685",
)
def deep_lift(
    model: Model, x: Batch, target: Target, *, baseline: Tensor | float = 0.0, chunk: int | None = None
) -> Attribution:
    r"""Share of each input value in the change of score from `baseline` to `x`, by the rescale rule. Unit: score.

    .. math:: a = (x - b) \odot m, \qquad m_{in} = m_{out}\,\frac{g(z) - g(z^b)}{z - z^b}

    Every elementwise function `g` counts by its average slope between the two activations instead of its slope at
    one, so `a` adds up to :math:`f(x) - f(b)` exactly, in one pass. Functions that mix values otherwise than
    linearly (a layer norm, a softmax, a product of two signals) have no rescale rule and are refused. The answer
    belongs to the baseline, and to how the network is written: two networks that compute the same may differ.

    Args:
        baseline: the reference, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule, or code that cannot be seen.
    """
    check_explainable(model, x, target)
    start = expand_baseline(baseline, x)
    one = not isinstance(baseline, Tensor) or baseline.ndim < x.ndim or len(baseline) == 1
    common = reference(model, start[:1]) if one and len(x) else None
    parts = []
    for part in chunks(x, chunk):
        seen = iter(common or reference(model, start[part]))
        surrogate = apply_rules(model, table(lambda call, seen=seen: rescaled(call, seen)), who="deep_lift")
        multipliers = chunk_gradient(surrogate, x[part], target[part]).gradient
        parts.append((x[part] - start[part]) * multipliers)
    return join_chunks(parts, x).detach()


def table(rule: Callable[[Call], Tensor]) -> Rules:
    """`rule` for everything that bends, its own gradient for everything that is linear."""
    linear = (*CONVOLUTIONS, "conv_transpose2d", "linear", "batch_norm", *AVERAGES)
    return {
        **dict.fromkeys(linear, keep_gradient),
        **dict.fromkeys(("add", "sub", "mul", "div", "matmul"), _linear_in_one),
        **dict.fromkeys((*ACTIVATIONS, "clamp", "clamp_min", *MAXIMA), rule),
    }


def _linear_in_one(call: Call) -> Tensor:
    both = call.traced(call.args[0]) and call.traced(call.args[1])
    product = both and call.name not in {"add", "sub"}
    require(not product, "deep_lift: no rule for a product of two signals", f"{call.name}()", WITHOUT_RULES)
    return keep_gradient(call)


def reference(model: Model, start: Batch) -> list[Seen]:
    """Inputs and values of every function that bends, in the order of their calls at the baseline."""
    seen: list[Seen] = []

    def record(call: Call) -> Tensor:
        value = call.on()
        seen.append((call.name, call.args[0], value))
        return value

    with torch.no_grad():
        chunk_logits(apply_rules(model, table(record), who="deep_lift"), start.clone())
    return seen


def rescaled(call: Call, seen: Iterator[Seen]) -> Tensor:
    """The call's value, on its average slope between the reference and here."""
    name, z0, value0 = next(seen, ("nothing", call.args[0], call.args[0]))
    same = name == call.name and z0.shape[1:] == call.args[0].shape[1:]
    require(same, "deep_lift: the model must take the same path for the baseline as for x", f"{call.name}() / {name}()")
    if call.name in MAXIMA:
        return rescaled_maximum(call, z0, value0)
    value, change = call.value(), call.args[0].detach() - z0
    flat = change.abs() < TINY
    ratio = (value - value0).div_(change)
    if flat.any():
        ratio = torch.where(flat, slope(call), ratio)
    return replace_gradient(value, call.args[0], ratio)


def slope(call: Call) -> Tensor:
    """Slope of an elementwise function at its input."""
    with torch.enable_grad():
        z = call.args[0].detach().requires_grad_()
        return torch.autograd.grad(call.on(z).sum(), z)[0]


def rescaled_maximum(call: Call, z0: Tensor, value0: Tensor) -> Tensor:
    """Max pooling: what the maximum gained belongs to its place now, what it lost to its place at the reference."""
    z = call.args[0]
    change = z.detach() - z0
    flat = change.abs() < TINY
    value, here = where_maximal(call, z.detach())
    _, there = where_maximal(call, z0.expand_as(z))
    top = torch.maximum(value, value0)
    shared = replace_gradient(z, z, (~flat) / change.masked_fill(flat, 1)).flatten(2)
    gained, lost = (shared.gather(2, place.flatten(2)).view_as(value) for place in (here, there))
    still = call.on(replace_gradient(z, z, flat.to(z)))
    return ReplacedGradient.apply(value, gained, top - value0, lost, value - top, still, None)


def where_maximal(call: Call, z: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return call.function(z, *call.args[1:], **{**call.kwargs, "return_indices": True})
