"""Rules of DeepLIFT: how the change of a function's value, from a reference to the input, is shared by its signals.

A rule returns the value of one call on a graph of its own, along which a multiplier m_out becomes m_in so that
sum_i m_in (z_i - z_i^b) is m_out times the change of the value. Of an elementwise function that is the rescale rule
(arXiv:1704.02685). Of several signals each gets its Shapley value in that one call, as Deep SHAP composes them
(arXiv:1705.07874): in a product that is its change times the mean of the other before and after.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xnb.access.functions.backward_steps import replace_gradient, split_gradient
from xnb.access.functions.function_kinds import (
    AFFINE,
    AXIS_MAXIMA,
    ELEMENTWISE,
    LINEAR_MAPS,
    MATRIX_PRODUCTS,
    POOLING_MAXIMA,
    SUMS,
)
from xnb.access.functions.function_rules import WITHOUT_RULES
from xnb.access.functions.traced_call import Call, Rule, Rules, keep_gradient
from xnb.check import require


class ReferenceCall(NamedTuple):
    """One call of a nonlinear function when the model ran on the reference: its signals, and its value."""

    name: str
    signals: tuple[Tensor, ...]
    value: Any


ReferenceRule = Callable[[Call, ReferenceCall], Any]


def build_table(answer: Rule) -> Rules:
    """The table in which calls that are nonlinear in their signals go to `answer`; linear ones keep their gradient."""

    def follow(call: Call) -> Any:
        if _is_linear(call):
            return keep_gradient(call)
        return answer(call)

    return {
        **dict.fromkeys((*AFFINE, *LINEAR_MAPS, "batch_norm"), _keep_linear),
        **dict.fromkeys((*SUMS, "neg"), keep_gradient),
        **dict.fromkeys(NONLINEAR, follow),
    }


def _is_linear(call: Call) -> bool:
    """Whether a product has one signal; a quotient is linear in what is divided."""
    if call.name == "div":
        return not call.traced(call.args[1])
    return call.name in {"mul", *MATRIX_PRODUCTS} and len(call.of_signals().args) == 1


def _keep_linear(call: Call) -> Tensor:
    """A function that is linear in its first argument, with its own gradient."""
    one = len(call.signals()) == 1
    require(one, "deep_lift: the weights of a layer may not come from x", f"{call.name}()", WITHOUT_RULES)
    return keep_gradient(call)


def _is_unchanged(z: Tensor, z0: Tensor) -> Tensor:
    """Where the change is nothing, or mere rounding: a quotient by it would be no slope."""
    # beside the values themselves: what is small in one network's units is a large change in another's
    rounding = 4 * torch.finfo(z.dtype).eps * torch.maximum(z.abs(), z0.abs())
    return (z - z0).abs() <= rounding


def _slope(change: Tensor, z: Tensor, z0: Tensor, gradient: Callable[[], Tensor]) -> Tensor:
    """The change of a function over that of its argument; where that did not change, the gradient."""
    slope = change / (z - z0)
    unchanged = _is_unchanged(z, z0)
    if unchanged.any():
        return torch.where(unchanged, gradient(), slope)
    return slope


def _rescale(call: Call, at_reference: ReferenceCall) -> Tensor:
    """The call's value, with the average slope between reference and input in place of its gradient."""
    call = call.of_signals()
    require(
        len(call.args) == 1,
        f"deep_lift: {call.name} must have one signal",
        f"{len(call.args)}",
        WITHOUT_RULES,
    )
    value = call.value()
    z = call.args[0].expand_as(value)
    (z0,) = at_reference.signals
    slope = _slope(value - at_reference.value, z.detach(), z0, lambda: _elementwise_gradient(call).expand_as(value))
    return replace_gradient(value, z, slope)


def _elementwise_gradient(call: Call) -> Tensor:
    with torch.enable_grad():
        z = call.args[0].detach().requires_grad_()
        return torch.autograd.grad(call.run(z).sum(), z)[0]


def _rescale_product(call: Call, at_reference: ReferenceCall) -> Tensor:
    """Of two signals each moves the product by its change times the mean of the other."""
    call = call.of_signals()
    rule = "deep_lift: a product must be of two signals"
    require(len(call.args) == 2, rule, f"{call.name}() of {len(call.args)}", WITHOUT_RULES)
    first, second = call.args
    mean_first, mean_second = _means(call, at_reference)
    z = call.run(first, mean_second) + call.run(mean_first, second)
    return replace_gradient(call.value(), z)


def _means(call: Call, at_reference: ReferenceCall) -> list[Tensor]:
    """Each signal's mean of reference and input."""
    return [(z.detach() + z0) / 2 for z, z0 in zip(call.args, at_reference.signals, strict=True)]


def _rescale_quotient(call: Call, at_reference: ReferenceCall) -> Tensor:
    """A product with the reciprocal, whose slope between reference and input is -1 / (z z^b)."""
    if not call.traced(call.args[0]):
        return _rescale(call, at_reference)
    call = call.of_signals()
    first, second = call.args
    mean_first, _ = _means(call, at_reference)
    z, z0 = second.detach(), at_reference.signals[1]
    mean_reciprocal = (1 / z + 1 / z0) / 2
    moved = first * mean_reciprocal - second * (mean_first / (z * z0))
    return replace_gradient(call.value(), moved)


def _read_axis(call: Call) -> int:
    """The axis of a softmax; where none is named, as torch chooses it."""
    named = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    if named is not None:
        return named
    return 0 if call.args[0].ndim in {0, 1, 3} else 1


class _Exponentials(NamedTuple):
    """exp(z - c) now and at the reference, with one c for both, and now on a graph with the average slope."""

    now: Tensor
    then: Tensor
    moved: Tensor


def _exponentials(z: Tensor, z0: Tensor, axis: int) -> _Exponentials:
    here = z.detach()
    # Between the largest of both, so that neither overflows.
    shift = (here.amax(axis, keepdim=True) + z0.amax(axis, keepdim=True)) / 2
    now = (here - shift).exp()
    then = (z0 - shift).exp().expand_as(now)
    slope = _slope(now - then, here, z0, lambda: now)
    slope = slope.nan_to_num(nan=0.0)  # a masked entry is minus infinity in both
    return _Exponentials(now, then, replace_gradient(now, z, slope))


def _rescale_softmax(call: Call, at_reference: ReferenceCall) -> Tensor:
    """A softmax as the product of exponentials and the reciprocal of their sum."""
    axis = _read_axis(call)
    e = _exponentials(call.args[0], at_reference.signals[0], axis)
    reciprocal = 1 / e.now.sum(axis, keepdim=True)
    reciprocal0 = 1 / e.then.sum(axis, keepdim=True)
    by_numerator = e.moved * ((reciprocal + reciprocal0) / 2)
    by_sum = e.moved.sum(axis, keepdim=True) * (reciprocal * reciprocal0 * (e.now + e.then) / 2)
    return replace_gradient(call.value(), by_numerator - by_sum)


def _moved_log_sum(call: Call, at_reference: ReferenceCall) -> Tensor:
    """The logarithm of the sum of exponentials, on a graph with average slopes; its value is off by a constant."""
    axis = _read_axis(call)
    e = _exponentials(call.args[0], at_reference.signals[0], axis)
    total = e.now.sum(axis, keepdim=True)
    total0 = e.then.sum(axis, keepdim=True)
    return e.moved.sum(axis, keepdim=True) * _slope(total.log() - total0.log(), total, total0, lambda: 1 / total)


def _rescale_log_softmax(call: Call, at_reference: ReferenceCall) -> Tensor:
    return replace_gradient(call.value(), call.args[0] - _moved_log_sum(call, at_reference))


def _rescale_log_sum(call: Call, at_reference: ReferenceCall) -> Tensor:
    value = call.value()
    return replace_gradient(value, _moved_log_sum(call, at_reference).reshape(value.shape))


class _Extreme(NamedTuple):
    """How a maximum or minimum picks: places of its values now and at the reference, along the last axis of `flat`."""

    value: Tensor
    value0: Tensor
    now: Tensor
    then: Tensor
    flat: Callable[[Tensor], Tensor]
    beyond: Callable[[Tensor, Tensor], Tensor]  # the larger of two for a maximum


def _rescale_pooling(call: Call, at_reference: ReferenceCall) -> Any:
    z = call.args[0]
    value, now = _pool_with_positions(call, z.detach())
    value0, then = _pool_with_positions(call, at_reference.signals[0].expand_as(z))
    extreme = _Extreme(
        value,
        value0,
        now.flatten(2),
        then.flatten(2),
        lambda x: x.flatten(2),
        torch.maximum,
    )
    moved = _share_extreme(call, at_reference.signals[0], extreme)
    if isinstance(call.value(), tuple):
        return (moved, now)
    return moved


def _pool_with_positions(call: Call, z: Tensor) -> tuple[Tensor, Tensor]:
    kwargs = {**call.kwargs, "return_indices": True}
    with torch.no_grad():
        return call.function(z, *call.args[1:], **kwargs)


def _rescale_axis_extreme(call: Call, at_reference: ReferenceCall) -> Any:
    """The largest or smallest value along axes."""
    z = call.args[0]
    axes = _read_axes(call)
    smallest = "min" in call.name

    def flat(x: Tensor) -> Tensor:
        last = list(range(-len(axes), 0))
        return x.movedim(axes, last).flatten(-len(axes))

    def pick(x: Tensor) -> tuple[Tensor, Tensor]:
        values, places = flat(x).min(-1, keepdim=True) if smallest else flat(x).max(-1, keepdim=True)
        return values, places

    value, now = pick(z.detach())
    value0, then = pick(at_reference.signals[0].expand_as(z))
    beyond = torch.minimum if smallest else torch.maximum
    moved = _share_extreme(call, at_reference.signals[0], _Extreme(value, value0, now, then, flat, beyond))
    result = call.value()
    if isinstance(result, tuple):  # values and their places
        return type(result)((moved.reshape(result[0].shape), result[1]))
    return moved.reshape(result.shape)


def _read_axes(call: Call) -> list[int]:
    """Axes that an extreme is taken over: those named, or all."""
    named = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else ())
    axes = [named] if isinstance(named, int) else list(named)
    return axes or list(range(call.args[0].ndim))


def _share_extreme(call: Call, z0: Tensor, extreme: _Extreme) -> Tensor:
    """What the extreme gained goes to its place now, what it lost to its place at the reference."""
    z = call.args[0]
    value, value0, now, then, flat, beyond = extreme
    change = z.detach() - z0
    unchanged = _is_unchanged(z.detach(), z0)
    furthest = beyond(value, value0)
    # The value changes in two steps: from the reference's to the furthest of both, then from that to its own.
    # Contributions become multipliers when they are divided by the change of the input that they go to. Where that
    # input did not change, the plain gradient is the multiplier.
    reciprocal = (~unchanged) / change.masked_fill(unchanged, 1)
    divided = flat(replace_gradient(z, z, reciprocal))
    gained = divided.gather(-1, now).view_as(value)
    lost = divided.gather(-1, then).view_as(value)
    out = call.run(replace_gradient(z, z, unchanged.to(z)))
    plain = (out[0] if isinstance(out, tuple) else out).reshape(value.shape)
    return split_gradient(value, (gained, furthest - value0), (lost, value - furthest), (plain, None))


NONLINEAR: dict[str, ReferenceRule] = {
    **dict.fromkeys(ELEMENTWISE, _rescale),
    **dict.fromkeys(("mul", *MATRIX_PRODUCTS), _rescale_product),
    "div": _rescale_quotient,
    "softmax": _rescale_softmax,
    "log_softmax": _rescale_log_softmax,
    "logsumexp": _rescale_log_sum,
    **dict.fromkeys(POOLING_MAXIMA, _rescale_pooling),
    **dict.fromkeys(AXIS_MAXIMA, _rescale_axis_extreme),
}
