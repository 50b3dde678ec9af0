"""Steps of the backward pass that a rule puts in the place of a function's own gradient."""

from typing import Any

import torch
from torch import Tensor


class _ReplacedGradient(torch.autograd.Function):
    """The first tensor forward; backward, what arrives goes to each carrier, multiplied by its factor."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *carriers_and_factors: Tensor | None) -> Tensor:
        ctx.save_for_backward(*carriers_and_factors[1::2])
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        gradients: list[Tensor | None] = [None]  # of the value
        for factor in ctx.saved_tensors:
            gradients.append(arriving if factor is None else arriving * factor)
            gradients.append(None)  # of the factor
        return tuple(gradients)


def replace_gradient(value: Tensor, carrier: Tensor, factor: Tensor | None = None) -> Tensor:
    """`value`, whose arriving gradient goes on to `carrier`, times `factor` if there is one."""
    return split_gradient(value.detach(), (carrier, None if factor is None else factor.detach()))


def split_gradient(value: Tensor, *shares: tuple[Tensor, Tensor | None]) -> Tensor:
    """`value`, whose arriving gradient goes on to each of several carriers, times the carrier's factor.

    Args:
        shares: pairs (carrier, factor); without a factor the gradient goes on as it is.
    """
    # autograd sees only tensors that are arguments themselves, not those inside of pairs
    carriers_and_factors = [tensor for share in shares for tensor in share]
    return _ReplacedGradient.apply(value, *carriers_and_factors)


class _CountedInputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, amounts: Tensor) -> Tensor:
        ctx.save_for_backward(amounts)
        return amounts.view_as(amounts)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        (amounts,) = ctx.saved_tensors
        return arriving.mul_(amounts), None


def count_inputs_as(x: Tensor, amounts: Tensor | None = None) -> Tensor:
    """`amounts`, or the values of x; backward multiplies the arriving gradient by them and goes on to x.

    So the gradient of a sum becomes what each input adds to it. The product is taken in place: only for functions
    whose backward step makes a new tensor, as those with weights do.
    """
    return _CountedInputs.apply(x, x.detach() if amounts is None else amounts)


class _RectifiedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, in_place: bool) -> Tensor:
        ctx.in_place = in_place
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        positive = arriving.clamp_min_(0) if ctx.in_place else arriving.clamp_min(0)
        return positive, None


def rectify_gradient(value: Tensor, *, in_place: bool = False) -> Tensor:
    """`value`, which hands back only the positive part of the gradient that arrives.

    Args:
        in_place: cut the gradient that arrives itself; only where no other step of the backward pass uses it.
    """
    return _RectifiedGradient.apply(value, in_place)
