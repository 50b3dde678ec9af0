"""Means of random draws, with their standard error, and further rounds of draws until it is small enough."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from xnb.access.score import per_input
from xnb.check import require
from xnb.types import Batch

MOST_ROUNDS = 64
Blocks = Iterable[tuple[slice, slice, Tensor]]  # which draws, which of the rows, their values (n, b, *shape)
Draw = Callable[[Tensor, int, torch.Generator], Blocks]  # rows of the batch, draws, where randomness comes from


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of every input's draws, updated block by block (Chan et al. 1983)."""

    count: Tensor  # (B,)
    mean: Batch
    squares: Batch

    def add(self, rows: Tensor, values: Tensor) -> None:
        n, old = len(values), per_input(self.count[rows], self.mean)
        block = values.mean(0)
        apart = block - self.mean[rows]
        self.squares[rows] += (values - block).square().sum(0) + apart.square() * (old * n / (old + n))
        self.mean[rows] += apart * (n / (old + n))
        self.count[rows] += n

    @property
    def variance(self) -> Batch:
        return self.squares / per_input(self.count - 1, self.mean).clamp(min=1)

    def error(self) -> Tensor:
        """Standard error of the mean, root mean square over an input, relative to that of its map: (B,)."""
        squared = (self.variance / per_input(self.count, self.mean)).flatten(1).mean(1)
        return (squared / self.mean.square().flatten(1).mean(1)).sqrt()


def moments(draw: Draw, x: Batch, samples: int, standard_error: float | None, seed: int) -> Moments:
    """Moments of `samples` draws of every input, or of as many rounds as its relative error asks for.

    The draws of a round are the same for every input that takes part, so no input's result depends on its batch.
    """
    require(samples >= 2, "samples: must be at least 2, or there is no spread to tell the error from", samples)
    exact = torch.promote_types(x.dtype, torch.float32)  # sums of many draws want more than bfloat16
    found = Moments(*(torch.zeros(shape, dtype=exact, device=x.device) for shape in (len(x), x.shape, x.shape)))
    rng = torch.Generator(x.device).manual_seed(seed)

    def play(rows: Tensor) -> None:
        for _, part, values in draw(rows, samples, rng):
            found.add(rows[part], values)

    in_rounds(play, found.error, torch.arange(len(x), device=x.device), standard_error)
    return found


def in_rounds(
    play: Callable[[Tensor], None], error: Callable[[], Tensor], rows: Tensor, standard_error: float | None
) -> None:
    """Play one round for all rows, and more for those whose relative error is larger than asked for; 64 at most."""
    wanted = standard_error is None or standard_error > 0
    require(wanted, "standard_error: must be positive, or None for one round", standard_error, "standard_error=0.05")
    for _ in range(1 if standard_error is None else MOST_ROUNDS):
        play(rows)
        if standard_error is None or not len(rows := rows[error()[rows] > standard_error]):
            return
