"""Several trainings of one network, kept as one."""

from collections.abc import Callable

import torch
from torch import nn

from xnb.types import Batch, Logits


class Mean(nn.Module):
    """Mean of what several networks say."""

    def forward(self, *outs: Logits) -> Logits:
        return torch.stack(outs).mean(0)


class Ensemble(nn.Module):
    """Networks that differ in their random start and the order of their batches alone; the logits are their mean.

    Args:
        make: builds one, with random weights.
        count: how many.
    """

    def __init__(self, make: Callable[[], nn.Module], count: int = 3) -> None:
        super().__init__()
        self.members, self.mean = nn.ModuleList(make() for _ in range(count)), Mean()

    def forward(self, x: Batch) -> Logits:
        return self.mean(*(member(x) for member in self.members))
