"""Which coalitions and masks are drawn, and further rounds of them until the error is small enough."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import binom
from torch import Tensor
from torch.nn import functional as F

from xnb.access.ledger import note
from xnb.methods.monte_carlo import in_rounds

Estimate = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]  # rows -> values and squared standard errors


def averaged(estimate: Estimate, inputs: int, standard_error: float | None, seed: int) -> Tensor:
    """One round of `estimate`, or the mean of as many as each input needs to come down to its relative error.

    A round draws the same for every input that takes part, so no input's result depends on its neighbours.
    """
    rng, sums = torch.Generator().manual_seed(seed), []

    def play(rows: Tensor) -> None:
        values, squares = estimate(rows, rng)
        found = values, squares, values.new_ones(len(rows), *[1] * (values.ndim - 1))
        if not sums:  # the first round is everyone's
            sums.extend(found)
            return
        for total, more in zip(sums, found, strict=True):
            total[rows] += more

    in_rounds(play, lambda: relative(*sums[:2]), torch.arange(inputs), standard_error)
    total, squares, rounds = sums
    note(standard_error=relative(total, squares))
    return total / rounds


def relative(total: Tensor, squares: Tensor) -> Float[Tensor, " B"]:
    """Root mean square error of an input's map, relative to that of the map: the number of rounds cancels."""
    return (squares.flatten(1).mean(1) / total.square().flatten(1).mean(1)).sqrt().cpu()


def sandwich(solve: Float[Tensor, "... M N"], squares: Float[Tensor, "... N K"], unknowns: int) -> Tensor:
    """Squared errors of a regression from its squared residuals; infinite without more draws than unknowns.

    With few more draws than unknowns it is too hopeful, by up to a half at twice as many.
    """
    draws = solve.shape[-1]
    errors = solve.square() @ squares
    return errors * draws / (draws - unknowns) if draws > unknowns else torch.full_like(errors, torch.inf)


@dataclass(frozen=True)
class Pairs:
    """Coalitions that are played together with their complements; `weights` are those of the Shapley kernel.

    `missing` is the share of the coalitions of that size that was not drawn: without any, there is no error.
    """

    members: Bool[Tensor, "N M"]
    weights: Float[Tensor, " N"]
    missing: Float[Tensor, " N"]


def pairs(players: int, number: int, sampling: Literal["paired", "leverage"], rng: torch.Generator) -> Pairs:
    """Draw `number` pairs of a coalition and its complement without replacement, or take all there are.

    Each size gets its share: with `leverage` all the same, as the leverage scores of the regression are, with
    `paired` the geometric mean of that and the kernel's weights, which prefer small and large coalitions. A size
    whose share exceeds its coalitions is taken as a whole.
    """
    sizes = np.arange(1, players // 2 + 1)
    halved = np.where(2 * sizes == players, 0.5, 1.0)  # a coalition of half the players has its own size's complement
    there = np.round(binom(players, sizes) * halved)
    kernel = halved / (sizes * (players - sizes))
    wanted = shares(there, halved if sampling == "leverage" else np.sqrt(kernel * halved), number)
    # systematic sampling: each size gets its share, rounded up or down at random
    ends = np.floor(np.round(np.cumsum(wanted), 6) + torch.rand(1, generator=rng).item())
    drawn = np.diff(ends, prepend=0).clip(0, there).astype(int)
    members = subsets(players, sizes, drawn, there, rng)
    size = members.sum(1) - 1
    return Pairs(*map(torch.from_numpy, (members, (kernel / wanted)[size], (1 - drawn / there)[size])))


def shares(there: np.ndarray, desire: np.ndarray, number: int) -> np.ndarray:
    """Split `number` in proportion to `desire`, but nowhere more than there are."""
    if number >= there.sum():
        return there
    full = np.zeros(len(there), bool)
    while True:
        split = np.where(full, there, desire * (number - there[full].sum()) / desire[~full].sum())
        if (split <= there).all():
            return split
        full |= split > there


def subsets(
    players: int, sizes: np.ndarray, drawn: np.ndarray, there: np.ndarray, rng: torch.Generator
) -> Bool[np.ndarray, "N M"]:
    """For each size as many different coalitions as are `drawn`; of two complements only one is in."""
    listed = drawn > there / 4  # drawing what is new from what is half used up would take long
    parts = [different(players, np.repeat(sizes[~listed], drawn[~listed]), rng)]
    for size, number in zip(sizes[listed], drawn[listed], strict=True):
        every = all_of_size(players, int(size))
        parts.append(every[torch.randperm(len(every), generator=rng)[:number].numpy()])
    return np.concatenate(parts)


def all_of_size(players: int, size: int) -> Bool[np.ndarray, "N M"]:
    """All coalitions of a size; of half the players, those that the first player is in."""
    half = int(2 * size == players)
    listed = np.array([(0,) * half + rest for rest in combinations(range(half, players), size - half)])
    members = np.zeros((len(listed), players), bool)
    np.put_along_axis(members, listed, True, 1)
    return members


def different(players: int, sizes: Int[np.ndarray, " N"], rng: torch.Generator) -> Bool[np.ndarray, "N M"]:
    """Random coalitions of these sizes, no two the same or complements: what comes twice is drawn again."""
    found = np.zeros((len(sizes), players), bool)
    keys = torch.randint(2**62, (players,), generator=rng).numpy()  # should two sums agree, one is drawn again
    again = np.arange(len(sizes))
    while len(again):
        tickets = torch.rand(len(again), players, generator=rng, dtype=torch.double).numpy()  # no ties
        last = np.sort(tickets, 1)[np.arange(len(again)), sizes[again] - 1]
        drawn = tickets <= last[:, None]
        found[again] = drawn ^ ((2 * sizes[again] == players) & ~drawn[:, 0])[:, None]
        first = np.unique(found @ keys, return_index=True)[1]
        again = np.delete(np.arange(len(sizes)), first)
    return found


def smooth_masks(
    height: int, width: int, cells: int, number: int, rng: torch.Generator
) -> Callable[[slice], Float[Tensor, "n 1 H W"]]:
    """Masks of RISE: coarse random bits, enlarged bilinearly beyond the picture and cropped at a random place."""
    bits = torch.randint(2, (number, cells, cells), generator=rng).double()
    (down, tops), (right, lefts) = (
        (ramps, torch.randint(len(ramps), (number,), generator=rng))
        for ramps in (crops(height, cells), crops(width, cells))
    )
    return lambda some: (down[tops[some]] @ bits[some] @ right[lefts[some]].mT)[:, None]


def crops(length: int, cells: int) -> Float[Tensor, "places length cells"]:
    """How much each pixel takes from each cell, for every place at which the enlarged cells can be cropped."""
    cell = -(-length // cells)
    ramps = F.interpolate(torch.eye(cells).double()[None], size=(cells + 1) * cell, mode="linear")[0]
    return ramps.unfold(1, length, 1)[:, :cell].permute(1, 2, 0)
