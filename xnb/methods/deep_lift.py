"""DeepLIFT: differences from a reference input, followed through the network."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from xnb.access.backward_steps import replace_gradient, split_gradient
from xnb.access.baselines import expand_baseline
from xnb.access.chunking import chunks, join_chunks
from xnb.access.function_rules import WITHOUT_RULES, Call, Rule, Rules, apply_rules, keep_gradient
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.score import chunk_gradient
from xnb.check import require
from xnb.methods.lrp_rules import ACTIVATION_FUNCTIONS, AVERAGES, CONVOLUTIONS, MAXIMA
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

_TINY = 1e-10  # a smaller difference counts as none: the gradient takes the place of the quotient


class _ReferenceCall(NamedTuple):
    """One call of a nonlinear function when the model ran on the reference."""

    name: str
    inputs: Tensor
    value: Tensor


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

    In place of the gradient of an elementwise function `g` stands its average slope between the two activations, so
    `a` adds up to :math:`f(x) - f(b)` exactly, in one pass. Functions that mix values otherwise than linearly (a layer
    norm, a softmax, a product of two signals) have no rescale rule and are refused. The answer belongs to the
    baseline, and to how the network is written: two networks that compute the same function may differ.

    Args:
        baseline: the reference, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule, or code that cannot be seen.
    """
    check_explainable(model, x, target)
    start = expand_baseline(baseline, x)
    shared = not isinstance(baseline, Tensor) or baseline.ndim < x.ndim or len(baseline) == 1
    # A reference that all inputs share is run once and not with every chunk.
    common = _record_reference(model, start[:1]) if shared and len(x) else None
    parts = []
    for rows in chunks(x, chunk):
        # `_rescale` takes one reference call at each nonlinear function, in the order in which the model calls them.
        reference = iter(common or _record_reference(model, start[rows]))
        table = _build_nonlinear_table(partial(_rescale, reference=reference))
        surrogate = apply_rules(model, table, who="deep_lift")
        multipliers = chunk_gradient(surrogate, x[rows], target[rows]).gradient
        parts.append((x[rows] - start[rows]) * multipliers)
    return join_chunks(parts, x).detach()


def _build_nonlinear_table(rule: Rule) -> Rules:
    """The table in which every nonlinear function follows `rule`, and every linear one its own gradient."""
    linear = (*CONVOLUTIONS, "conv_transpose2d", "linear", "batch_norm", *AVERAGES)
    nonlinear = (*ACTIVATION_FUNCTIONS, "clamp", "clamp_min", *MAXIMA)
    return {
        **dict.fromkeys(linear, keep_gradient),
        **dict.fromkeys(("add", "sub", "mul", "div", "matmul"), _refuse_product),
        **dict.fromkeys(nonlinear, rule),
    }


def _refuse_product(call: Call) -> Tensor:
    """The call with its own gradient, unless it multiplies two signals: it is then linear in either, not in both."""
    first, second, *_ = call.args
    two_signals = call.traced(first) and call.traced(second)
    product = two_signals and call.name not in {"add", "sub"}
    require(not product, "deep_lift: no rule for a product of two signals", f"{call.name}()", WITHOUT_RULES)
    return keep_gradient(call)


def _record_reference(model: Model, start: Batch) -> list[_ReferenceCall]:
    """The calls of all nonlinear functions at the baseline, in their order."""
    calls: list[_ReferenceCall] = []

    def record(call: Call) -> Tensor:
        value = call.run()
        calls.append(_ReferenceCall(call.name, call.args[0], value))
        return value

    with torch.no_grad():
        chunk_logits(apply_rules(model, _build_nonlinear_table(record), who="deep_lift"), start.clone())
    return calls


def _rescale(call: Call, reference: Iterator[_ReferenceCall]) -> Tensor:
    """The call's value, with the average slope between reference and input in place of its gradient.

    Args:
        reference: calls that the model made on the reference; the next one is taken as that of the same function.
    """
    z = call.args[0]
    at_reference = next(reference, _ReferenceCall("nothing", z, z))
    same_function = at_reference.name == call.name
    same_shape = at_reference.inputs.shape[1:] == z.shape[1:]
    rule = "deep_lift: the model must take the same path for the baseline as for x"
    require(same_function and same_shape, rule, f"{call.name}() / {at_reference.name}()")
    if call.name in MAXIMA:
        return _rescale_maximum(call, at_reference)
    value = call.value()
    change = z.detach() - at_reference.inputs
    slope = (value - at_reference.value).div_(change)
    unchanged = change.abs() < _TINY
    if unchanged.any():  # there the quotient is 0 / 0 or mere rounding
        slope = torch.where(unchanged, _elementwise_gradient(call), slope)
    return replace_gradient(value, z, slope)


def _elementwise_gradient(call: Call) -> Tensor:
    with torch.enable_grad():
        z = call.args[0].detach().requires_grad_()
        return torch.autograd.grad(call.run(z).sum(), z)[0]


def _rescale_maximum(call: Call, at_reference: _ReferenceCall) -> Tensor:
    """Max pooling: what the maximum gained goes to its position now, what it lost to its position at the reference."""
    z = call.args[0]
    change = z.detach() - at_reference.inputs
    unchanged = change.abs() < _TINY
    value, now = _pool_with_positions(call, z.detach())
    _, then = _pool_with_positions(call, at_reference.inputs.expand_as(z))
    larger = torch.maximum(value, at_reference.value)
    # The value changes in two steps: up from the reference's to the larger of both, then down from that to its own.
    # Contributions become multipliers when they are divided by the change of the input that they go to. Where that
    # input did not change, the pooling's plain gradient is the multiplier.
    reciprocal = (~unchanged) / change.masked_fill(unchanged, 1)
    divided = replace_gradient(z, z, reciprocal).flatten(2)
    gained = divided.gather(2, now.flatten(2)).view_as(value)
    lost = divided.gather(2, then.flatten(2)).view_as(value)
    plain = call.run(replace_gradient(z, z, unchanged.to(z)))
    return split_gradient(value, (gained, larger - at_reference.value), (lost, value - larger), (plain, None))


def _pool_with_positions(call: Call, z: Tensor) -> tuple[Tensor, Tensor]:
    kwargs = {**call.kwargs, "return_indices": True}
    with torch.no_grad():
        return call.function(z, *call.args[1:], **kwargs)
