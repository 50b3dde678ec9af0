"""Several trainings of one network, run as one network."""

from collections.abc import Callable

import torch
from torch import nn

from xnb.types import Batch, Logits


class Mean(nn.Module):
    """Mean of the logits of several networks."""

    def forward(self, *logits: Logits) -> Logits:
        return torch.stack(logits).mean(0)


class Ensemble(nn.Module):
    """Networks that differ in their random start and the order of their batches alone; the logits are their mean.

    Args:
        make: builds one network, with random weights.
        count: number of networks.
    """

    def __init__(self, make: Callable[[], nn.Module], count: int = 3) -> None:
        super().__init__()
        self.members = nn.ModuleList(make() for _ in range(count))
        self.mean = Mean()

    def forward(self, x: Batch) -> Logits:
        logits = [member(x) for member in self.members]
        return self.mean(*logits)
