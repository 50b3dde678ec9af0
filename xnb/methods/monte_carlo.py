"""Means of random draws with their standard error, from as many rounds of draws as it takes to make that small."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.rows import select_rows
from xnb.access.score import align_to_inputs
from xnb.check import require
from xnb.types import Batch

MOST_ROUNDS = 64

Blocks = Iterable[tuple[slice, slice, Tensor]]  # which draws, which of the inputs, their values (n, b, *shape)
Draw = Callable[[Tensor, int, torch.Generator], Blocks]  # indices of inputs, draws of each, source of randomness


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of each input's draws, updated block by block (Chan et al. 1983)."""

    count: Tensor  # (B,)
    mean: Batch
    squares: Batch

    def add_block(self, indices: Tensor, values: Tensor) -> None:
        """Count in `values`, `(n, b, *shape)`: n further draws of each of the b inputs that `indices` name."""
        added = len(values)
        before = align_to_inputs(self.count[indices], self.mean)
        block_mean = values.mean(0)
        difference = block_mean - self.mean[indices]
        within = (values - block_mean).square().sum(0)
        between = difference.square() * (before * added / (before + added))
        self.squares[indices] += within + between
        self.mean[indices] += difference * (added / (before + added))
        self.count[indices] += added

    @property
    def variance(self) -> Batch:
        """Unbiased variance of the draws, value by value."""
        return self.squares / align_to_inputs(self.count - 1, self.mean).clamp(min=1)

    def relative_error(self) -> Tensor:
        """Standard error of the mean, root mean square over an input, relative to that of its map: (B,)."""
        squared_errors = self.variance / align_to_inputs(self.count, self.mean)
        squared_error = squared_errors.flatten(1).mean(1)
        squared_map = self.mean.square().flatten(1).mean(1)
        return (squared_error / squared_map).sqrt()


def estimate_moments(draw: Draw, x: Batch, samples: int, standard_error: float | None, seed: int) -> Moments:
    """Moments of `samples` draws of every input, or of as many rounds as its relative error requires.

    The draws of a round are the same for every input that takes part, so no input's result depends on its batch.
    """
    rule = "samples: must be at least 2, or there is no spread to tell the error from"
    require(samples >= 2, rule, samples, "samples=32")
    exact = torch.promote_types(x.dtype, torch.float32)  # bfloat16 is too coarse for the sum of many draws
    zeros = partial(torch.zeros, dtype=exact, device=x.device)
    moments = Moments(zeros(len(x)), zeros(x.shape), zeros(x.shape))
    rng = make_generator("changes of inputs", seed, x.device)

    def play_round(indices: Tensor) -> None:
        with select_rows(indices, len(x)):
            for _, rows, values in draw(indices, samples, rng):
                moments.add_block(indices[rows], values)

    everyone = torch.arange(len(x), device=x.device)
    repeat_rounds(play_round, moments.relative_error, everyone, standard_error)
    return moments


def repeat_rounds(
    play_round: Callable[[Tensor], None],
    relative_error: Callable[[], Tensor],
    indices: Tensor,
    standard_error: float | None,
) -> None:
    """Play one round for all inputs, then further ones, 64 in all, for those whose error is larger than requested.

    Args:
        play_round: called with the indices of the inputs that take part.
        relative_error: the error of every input of the batch, after the rounds so far.
        indices: inputs that take part in the first round.
        standard_error: the relative error requested; None for one round.
    """
    positive = standard_error is None or standard_error > 0
    require(positive, "standard_error: must be positive, or None for one round", standard_error, "standard_error=0.05")
    play_round(indices)
    if standard_error is None:
        return
    for _ in range(MOST_ROUNDS - 1):
        indices = indices[relative_error()[indices] > standard_error]
        if not len(indices):
            return
        play_round(indices)
