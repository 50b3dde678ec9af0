"""Relevance handed back in proportion: what all rules of layer-wise relevance propagation have in common.

Input i gets, of the relevance R_j of every output to which it adds z_ij,

R_i = sum_j  z_ij / (z_j + eps sign z_j)  R_j,    z_j = sum_i z_ij.
"""

from typing import Any

import torch
from torch import Tensor

from xnb.access.function_rules import Call, replaced

ALL = 1.0  # the share of a sum that is the only one
EPSILON = 1e-6  # keeps denominators from zero and absorbs what is weaker


class Divided(torch.autograd.Function):
    """`value` forward; backward, each sum gets its share of what arrives, divided by the sum.

    These passes over memory cost what the arithmetic itself costs: the bias of `positive` sums holds epsilon already,
    and their memory is overwritten.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, positive: bool, shares: tuple[Tensor | float, ...], *sums: Tensor) -> Tensor:
        ctx.positive, ctx.shares = positive, shares
        ctx.save_for_backward(*sums)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        found = []
        for z, share in zip(ctx.saved_tensors, ctx.shares, strict=True):
            bottom = z.detach() if ctx.positive else torch.copysign(z.new_tensor(EPSILON), z).add_(z)
            ratio = torch.div(arriving, bottom, out=bottom)
            found.append(ratio if share is ALL else ratio.mul_(share))
        return None, None, None, *found


def proportional(call: Call, *inputs: Tensor, share: float = ALL) -> Tensor:
    """Epsilon rule of a call that is linear in each of its first arguments, the inputs, up to a constant."""
    z = call.on(*(replaced(x, x, x) for x in inputs)) if call.summed is None else call.summed
    return Divided.apply(z.detach(), False, (share,), z)
