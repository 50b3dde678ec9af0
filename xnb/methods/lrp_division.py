"""Relevance divided in proportion: what all rules of layer-wise relevance propagation have in common.

Of the relevance R_j of every output to which it adds z_ij, input i gets

R_i = sum_j  z_ij / (z_j + eps sign z_j)  R_j,    z_j = sum_i z_ij.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.functions.backward_steps import count_inputs_as, replace_gradient
from xnb.access.functions.function_kinds import TRANSPOSED
from xnb.access.functions.traced_call import Call

EPSILON = 1e-6  # keeps denominators from zero and absorbs the relevance of weaker outputs

Share = Tensor | float | None  # of the relevance of an output; None is all of it


class AffineCall(NamedTuple):
    """A call with a weight and a bias, as the rules of such calls need it.

    Attributes:
        inputs: what it multiplies by the weight, on the graph that relevance follows.
        weight: without a graph, like the bias.
        bias: zero if the call has none.
        value: what the call returns.
        positive: the inputs are known to have no negative value; False says nothing.
        groups: of inputs and outputs that do not meet.
        transposed: the weight has the inputs on its first axis, as that of a transposed convolution.
    """

    inputs: Tensor
    weight: Tensor
    bias: Tensor
    value: Tensor
    positive: bool
    groups: int
    transposed: bool


class Term(NamedTuple):
    """A share of the relevance, which is divided in proportion to what `inputs`, `weight` and `bias` add up to."""

    share: Share
    inputs: Tensor
    weight: Tensor
    bias: Tensor


class _DividedRelevance(torch.autograd.Function):
    """`value` forward; backward, each sum gets its share of the relevance that arrives, divided by the sum.

    Passes over memory cost as much here as the arithmetic itself, so two are saved where sums are `positive`: they
    contain epsilon already, with their bias, and the quotient is written over them.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, positive: bool, shares: tuple[Share, ...], *sums: Tensor) -> Tensor:
        ctx.positive = positive
        ctx.shares = shares
        ctx.save_for_backward(*sums)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        divided = []
        for z, share in zip(ctx.saved_tensors, ctx.shares, strict=True):
            denominator = z.detach() if ctx.positive else torch.copysign(z.new_tensor(EPSILON), z).add_(z)
            ratio = torch.div(arriving, denominator, out=denominator)
            divided.append(ratio if share is None else ratio.mul_(share))
        return None, None, None, *divided


def divide_relevance(
    value: Tensor, sums: Sequence[Tensor], shares: Sequence[Share] = (None,), *, positive: bool = False
) -> Tensor:
    """The `value` of a call, whose relevance is divided along the graphs of `sums` when backward comes through.

    Args:
        sums: for each share, what the inputs add up to, on the graph.
        shares: of the relevance, one for each sum.
        positive: no sum is negative, and EPSILON has been added to each; their memory is overwritten.
    """
    return _DividedRelevance.apply(value, positive, tuple(shares), *sums)


def divide_in_proportion(call: Call, *inputs: Tensor, share: Share = None) -> Tensor:
    """The plain rule, epsilon: for a call that is linear in each of its first arguments, the inputs, up to a constant.

    Args:
        share: of the relevance that is divided.
    """
    z = call.summed
    if z is None:
        z = call.run(*(replace_gradient(x, x, x) for x in inputs))
    return divide_relevance(z.detach(), [z], [share])


def divide_by_terms(
    call: Call, make_terms: Callable[[AffineCall], list[Term]], *, amounts: Tensor | None = None, positive: bool = False
) -> Tensor:
    """The value of an affine call, whose relevance is divided among the terms that `make_terms` returns.

    Args:
        amounts: what the inputs count as; as themselves if omitted.
        positive: the sum of a term is never negative.
    """
    call = _complete_arguments(call)
    x, weight, bias, *_ = call.args
    value = call.value()
    inputs = count_inputs_as(x, amounts)
    positive_inputs = call.is_positive(x)
    terms = make_terms(AffineCall(inputs, weight, bias, value, positive_inputs, *_read_groups(call)))
    sums = []
    for term in terms:
        # Sums that are never negative take epsilon with the bias, which saves a pass over each of them.
        term_bias = term.bias + EPSILON if positive else term.bias
        sums.append(call.run(term.inputs, term.weight, term_bias))
    return divide_relevance(value, sums, [term.share for term in terms], positive=positive)


def bind_arguments(function: Callable, call: Call) -> dict[str, Any]:
    """Arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    return bound.arguments


def _read_groups(call: Call) -> tuple[int, bool]:
    """Groups of a call with a weight, and whether it is a transposed convolution."""
    groups = call.args[6] if len(call.args) > 6 else call.kwargs.get("groups", 1)
    return groups, call.name in TRANSPOSED


def _count_outputs(call: Call, weight: Tensor) -> int:
    groups, transposed = _read_groups(call)
    if transposed:
        return weight.shape[1] * groups
    return len(weight)


def _complete_arguments(call: Call) -> Call:
    """The same call with `(input, weight, bias, ...)` as its first arguments; the bias is zero if it has none."""
    names = ("input", "weight", "bias")
    arguments = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    weight = arguments["weight"].detach()
    bias = arguments.get("bias")
    bias = weight.new_zeros(_count_outputs(call, weight)) if bias is None else bias.detach()
    args = (arguments["input"], weight, bias, *call.args[3:])
    kwargs = {name: value for name, value in call.kwargs.items() if name not in names}
    return replace(call, args=args, kwargs=kwargs)


def fold_batch_norm(norm: Call, before: Call) -> Call:
    """The affine call `before`, with the batch norm that follows it folded into its weight and bias."""
    arguments = bind_arguments(F.batch_norm, norm)
    gain = 1.0 if arguments["weight"] is None else arguments["weight"].detach()
    shift = 0.0 if arguments["bias"] is None else arguments["bias"].detach()
    scale = (arguments["running_var"] + arguments["eps"]).rsqrt() * gain
    # norm(W x + b) = scale (W x + b - mean) + shift, which is affine in x again.
    before = _complete_arguments(before)
    x, weight, bias, *others = before.args
    weight = _scale_outputs(before, weight, scale)
    bias = (bias - arguments["running_mean"]) * scale + shift
    return replace(before, args=(x, weight, bias, *others), known=norm.value())


def _scale_outputs(call: Call, weight: Tensor, scale: Tensor) -> Tensor:
    """The weight with each output times its own factor; outputs are its first axis, or of each group the second."""
    groups, transposed = _read_groups(call)
    if not transposed:
        return weight * scale.view(-1, *[1] * (weight.ndim - 1))
    by_group = scale.view(groups, 1, -1, *[1] * (weight.ndim - 2))
    return (weight.unflatten(0, (groups, -1)) * by_group).flatten(0, 1)
