"""The regions of an input as players of a game: a coalition keeps its regions, all others are set to a baseline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.ledger import collect_notes, leave_note
from xnb.access.regions import PIECES, Division, Regions, number_regions
from xnb.access.rows import select_rows
from xnb.access.score import changed_scores
from xnb.types import Attribution, Batch, Model, Target


@runtime_checkable
class Coalitions(Protocol):
    """Who is in, (N, M): a tensor of truth values, or what makes some of its rows when they are asked for."""

    def __len__(self) -> int:
        """How many coalitions there are."""

    def __getitem__(self, draws: slice, /) -> Tensor:
        """Those coalitions, as truth values (n, M)."""


@dataclass(frozen=True)
class Game:
    """One game for each input of the batch; the value of a coalition is the score of what it leaves of the input.

    Attributes:
        baseline: what stands where a region is not in the coalition, a tensor like `x`.
        regions: number of the region of every value, of all inputs or of each.
        players: how many regions an input has at most.
        chunk: inputs run together.
    """

    model: Model
    x: Batch
    target: Target
    baseline: Batch
    regions: Int[Tensor, "#B *#shape"]
    players: int
    chunk: int | None

    def values(self, coalitions: Coalitions, inputs: Int[Tensor, " b"] | None = None) -> Float[Tensor, "N b"]:
        """Value of each coalition for each input, in double precision on the processor.

        Args:
            coalitions: which regions are present.
            inputs: numbers of the inputs that take part; None are all.
        """
        taking_part = torch.arange(len(self.x)) if inputs is None else inputs
        game = self.select(taking_part) if inputs is not None else self

        def remove_regions(draws: slice, rows: slice) -> Tensor:
            # as numbers: interpolation is exact at 0 and 1, and four times as fast as a choice by truth values
            present = coalitions[draws].to(game.x)
            own = len(game.regions) == len(game.x)
            mask = present[:, game.regions[rows] if own else game.regions]
            return torch.lerp(game.baseline[rows], game.x[rows], mask)

        with select_rows(taking_part, len(self.x)):
            scores = changed_scores(self.model, game.x, game.target, remove_regions, len(coalitions), chunk=self.chunk)
        return scores.cpu().double()

    def select(self, inputs: Int[Tensor, " b"]) -> "Game":
        """The game of some of the inputs. Whoever plays it says which they are, by `select_rows`."""
        rows = inputs.to(self.x.device)
        regions = self.regions if len(self.regions) == 1 else self.regions[rows]
        return replace(
            self,
            x=self.x[rows],
            target=self.target[rows],
            baseline=self.baseline[rows],
            regions=regions,
        )

    def place_on_input(self, attributions: Float[Tensor, "B M"]) -> Attribution:
        """Give every value of an input the attribution of its region."""
        values = attributions.to(self.x)
        if len(self.regions) == 1:
            return values[:, self.regions[0]]
        placed = values.gather(1, self.regions.flatten(1))
        return placed.view(self.regions.shape)

    def split_by_players(self) -> Iterator[tuple[Int[Tensor, " b"], "Game"]]:
        """The inputs that have as many regions, and their game: what is drawn depends on how many play."""
        counts = self.regions.flatten(1).amax(1).cpu() + 1
        for players in counts.unique().tolist():
            rows = (counts == players).nonzero().squeeze(1)
            yield rows, replace(self.select(rows), players=players)


def make_game(
    model: Model,
    x: Batch,
    target: Target,
    regions: Regions | None,
    baseline: Baseline,
    chunk: int | None,
    division: Division = PIECES,
) -> Game:
    """The game of a batch; `division` says what the players are where nobody has numbered them."""
    numbers = number_regions(regions, x, division, model)
    return Game(
        model=model,
        x=x,
        target=target,
        baseline=expand_baseline(baseline, x, model),
        regions=numbers,
        players=int(numbers.max()) + 1 if numbers.numel() else 0,
        chunk=chunk,
    )


def solve_game(game: Game, solve: Callable[[Game], Float[Tensor, "b M"]]) -> Attribution:
    """What `solve` says of every region, on the input.

    Where inputs have regions of their own, those with as many are solved together: an input gets the same answer as
    alone.
    """
    if not len(game.x):
        return game.x.new_zeros(0, *game.regions.shape[1:])
    if len(game.regions) == 1:
        return game.place_on_input(solve(game))
    placed = game.x.new_empty(game.regions.shape)
    errors = torch.full((len(game.x),), torch.nan, dtype=torch.double)
    for rows, part in game.split_by_players():
        with select_rows(rows, len(game.x)), collect_notes() as notes:
            placed[rows.to(game.x.device)] = part.place_on_input(solve(part))
        error = notes.get("standard_error")
        errors[rows] = error if isinstance(error, Tensor) else torch.nan
    if not errors.isnan().all():  # a method that draws nothing leaves no error
        leave_note(standard_error=errors)
    return placed
