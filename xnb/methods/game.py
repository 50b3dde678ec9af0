"""The regions of an input as players of a game: a coalition keeps its regions, all others are set to a baseline."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.baselines import expand_baseline
from xnb.access.regions import SIDE, number_regions
from xnb.access.score import changed_scores
from xnb.types import Attribution, Batch, Model, Target


@dataclass(frozen=True)
class Game:
    """One game for each input of the batch; the value of a coalition is the score of what it leaves of the input.

    Attributes:
        baseline: what stands where a region is not in the coalition, a tensor like `x`.
        regions: number of the region of every value, broadcast against one input.
        players: how many regions there are.
        chunk: inputs run together.
    """

    model: Model
    x: Batch
    target: Target
    baseline: Batch
    regions: Int[Tensor, "*#shape"]
    players: int
    chunk: int | None

    def values(self, coalitions: Bool[Tensor, "N M"], inputs: Tensor | None = None) -> Float[Tensor, "N b"]:
        """Value of each coalition for each input, in double precision on the processor.

        Args:
            coalitions: which regions are present.
            inputs: numbers of the inputs that take part; None are all.
        """
        taking_part = slice(None) if inputs is None else inputs
        x = self.x[taking_part]
        baseline = self.baseline[taking_part]
        # as numbers: interpolation is exact at 0 and 1, and four times as fast as a choice by truth values
        present = coalitions.to(x)

        def remove_regions(draws: slice, rows: slice) -> Tensor:
            mask = present[draws][:, None, self.regions]
            return torch.lerp(baseline[rows], x[rows], mask)

        scores = changed_scores(
            self.model, x, self.target[taking_part], remove_regions, len(coalitions), chunk=self.chunk
        )
        return scores.cpu().double()

    def place_on_input(self, attributions: Float[Tensor, "B M"]) -> Attribution:
        """Give every value of an input the attribution of its region."""
        return attributions.to(self.x)[:, self.regions]


def make_game(
    model: Model,
    x: Batch,
    target: Target,
    regions: Int[Tensor, "..."] | None,
    baseline: Tensor | float,
    chunk: int | None,
    side: int = SIDE,
) -> Game:
    """The game of a batch; without `regions`, `side` squares along a picture, or each value of other inputs."""
    numbers = number_regions(regions, x, side)
    return Game(
        model=model,
        x=x,
        target=target,
        baseline=expand_baseline(baseline, x),
        regions=numbers,
        players=int(numbers.max()) + 1,
        chunk=chunk,
    )
