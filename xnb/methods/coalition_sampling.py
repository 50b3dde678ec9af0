"""Which coalitions and masks are drawn, and further rounds of them until the error is small enough."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import binom
from torch import Tensor
from torch.nn import functional as F

from xnb.access.draws import make_generator
from xnb.access.ledger import leave_note
from xnb.methods.monte_carlo import repeat_rounds

_BLOCK_VALUES = 2**20  # of random numbers that are held at a time
MakeMasks = Callable[[slice], Tensor]  # which of the masks -> (n, *#shape), between 0 and 1


class Estimate(NamedTuple):
    """What one round of draws gives for some inputs: a value for each region or pixel, and its squared error."""

    values: Tensor
    variance: Tensor


PlayRound = Callable[[Tensor, torch.Generator], Estimate]  # numbers of the inputs that take part, random numbers


def average_rounds(play_round: PlayRound, inputs: int, standard_error: float | None, seed: int) -> Tensor:
    """Values of one round, or the mean of as many as each input needs to come down to its relative error.

    A round draws the same for every input that takes part, so no input's result depends on its neighbours.
    """
    rng = make_generator("coalitions", seed)
    totals: list[Tensor] = []  # sums over rounds: of the values, of their variances, and the number of rounds

    def play(rows: Tensor) -> None:
        estimate = play_round(rows, rng)
        axes = estimate.values.ndim - 1
        rounds = estimate.values.new_ones(len(rows), *[1] * axes)
        if not totals:  # all inputs take part in the first round
            totals.extend([*estimate, rounds])
            return
        for total, more in zip(totals, [*estimate, rounds], strict=True):
            total[rows] += more

    def error() -> Tensor:
        return _relative_error(totals[0], totals[1])

    repeat_rounds(play, error, torch.arange(inputs), standard_error)
    leave_note(standard_error=error())
    values, _, rounds = totals
    return values / rounds


def _relative_error(values: Tensor, variance: Tensor) -> Float[Tensor, " B"]:
    """Root mean square error of an input's map, relative to that of the map.

    Both are sums over rounds. A sum has the relative error of the mean, so the number of rounds is not needed.
    """
    squared_error = variance.flatten(1).mean(1)
    squared_size = values.square().flatten(1).mean(1)
    return (squared_error / squared_size).sqrt().cpu()


class AllButOne:
    """The coalition of all players, then for each player that of all others; made when they are asked for."""

    def __init__(self, players: int) -> None:
        self.players = players

    def __len__(self) -> int:
        return self.players + 1

    def __getitem__(self, draws: slice) -> Bool[Tensor, "n M"]:
        numbers = torch.arange(*draws.indices(len(self)))
        return numbers[:, None] != torch.arange(1, self.players + 1)


class OrderedJoining:
    """None, all, the first 1, 2, ... M - 1 players of each order, and their complements; made when asked for.

    Attributes:
        position: of each player in each order.
    """

    def __init__(self, position: Int[Tensor, "n M"]) -> None:
        self.position = position

    def __len__(self) -> int:
        orders, players = self.position.shape
        return 2 + 2 * orders * (players - 1)

    def __getitem__(self, draws: slice) -> Bool[Tensor, "n M"]:
        orders, players = self.position.shape
        steps = max(1, players - 1)
        numbers = torch.arange(*draws.indices(len(self)))
        # First nobody and everybody, then each order step by step forward, then each backward.
        ends = numbers < 2
        walked = (numbers - 2).clamp(min=0)
        backward = walked >= orders * steps
        order = torch.where(ends, 0, walked // steps % orders)
        count = torch.where(ends, numbers * players, walked % steps + 1)
        joined = self.position[order] < count[:, None]
        return joined ^ backward[:, None]


@dataclass(frozen=True)
class CoalitionPairs:
    """Coalitions that are played together with their complements.

    Attributes:
        members: who is in the first of each pair.
        weights: of each pair, those of the Shapley kernel over the expected number of draws.
        missing: share of the coalitions of that size that was not drawn; where it is 0, there is no error.
    """

    members: Bool[Tensor, "N M"]
    weights: Float[Tensor, " N"]
    missing: Float[Tensor, " N"]


def draw_pairs(
    players: int,
    number: int,
    sampling: Literal["paired", "leverage"],
    rng: torch.Generator,
) -> CoalitionPairs:
    """Draw `number` pairs of a coalition and its complement without replacement, or take all there are.

    Each size gets its share: with `leverage` all the same, as the leverage scores of the regression are, with
    `paired` the geometric mean of that and the kernel's weights, which prefer small and large coalitions. A size
    whose share exceeds its coalitions is taken as a whole.
    """
    sizes = np.arange(1, players // 2 + 1)
    # A coalition of half the players has a complement of its own size, so there are half as many pairs.
    halved = np.where(2 * sizes == players, 0.5, 1.0)
    available = np.round(binom(players, sizes) * halved)
    kernel = halved / (sizes * (players - sizes))
    preference = halved if sampling == "leverage" else np.sqrt(kernel * halved)
    expected = _expected_counts(number, preference, available)
    # Systematic sampling: each size gets its expected number, rounded up or down at random, and the sum is kept.
    offset = torch.rand(1, generator=rng, dtype=torch.float32).item()
    sums = np.round(np.cumsum(expected), 6)
    ends = np.floor(sums + offset)
    counts = np.diff(ends, prepend=0).clip(0, available).astype(int)
    members = _draw_coalitions(players, sizes, counts, available, rng)
    size_index = members.sum(1) - 1
    weights = (kernel / expected)[size_index]
    missing = (1 - counts / available)[size_index]
    return CoalitionPairs(*map(torch.from_numpy, (members, weights, missing)))


def _expected_counts(number: int, preference: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Expected number of pairs of each size: shares of `number` in proportion to `preference`, not rounded.

    No size gets more pairs than are available, and what it would have got beyond goes to the others.
    """
    if number >= available.sum():
        return available
    full = np.zeros(len(available), bool)
    while True:
        rest = number - available[full].sum()
        total = preference[~full].sum()
        expected = np.where(full, available, preference * rest / total)
        if (expected <= available).all():
            return expected
        full |= expected > available  # more remains for the other sizes, which may fill some of them as well


def _draw_coalitions(
    players: int,
    sizes: np.ndarray,
    counts: np.ndarray,
    available: np.ndarray,
    rng: torch.Generator,
) -> Bool[np.ndarray, "N M"]:
    """As many different coalitions of each size as `counts` says; of two complements only one is in."""
    many = counts > available / 4  # to draw what is new would take long there: all are listed and shuffled
    few_sizes = np.repeat(sizes[~many], counts[~many])
    drawn = [draw_distinct_coalitions(players, few_sizes, rng)]
    for size, count in zip(sizes[many], counts[many], strict=True):
        coalitions = _list_coalitions(players, int(size))
        order = torch.randperm(len(coalitions), generator=rng).numpy()
        drawn.append(coalitions[order[:count]])
    return np.concatenate(drawn)


def _list_coalitions(players: int, size: int) -> Bool[np.ndarray, "N M"]:
    """All coalitions of a size; of half the players, those that the first player is in."""
    half = 2 * size == players
    always = [0] if half else []
    others = combinations(range(len(always), players), size - len(always))
    numbers = np.array([[*always, *rest] for rest in others])
    members = np.zeros((len(numbers), players), bool)
    np.put_along_axis(members, numbers, True, 1)
    return members


def draw_distinct_coalitions(
    players: int,
    sizes: Int[np.ndarray, " N"],
    rng: torch.Generator,
) -> Bool[np.ndarray, "N M"]:
    """Draw a random coalition of each of these sizes, no two of them the same or complements.

    Every player draws a ticket, a random number; a coalition of size k has the k smallest. What has come before is
    drawn again, until all differ. To find it without comparing every two coalitions, each player has a random key of
    62 bits and a coalition is known by the sum of its members' keys, modulo 2^64: the same coalition has the same
    sum, and should two others ever agree, one of them is drawn again for nothing. Only coalitions of half the players
    have a complement of their own size; of each such pair the one with the first player in it stands for both.
    """
    members = np.zeros((len(sizes), players), bool)
    keys = torch.randint(2**62, (players,), generator=rng).numpy()
    sums = np.zeros(len(sizes), np.int64)
    repeats = np.arange(len(sizes))
    rows = max(1, _BLOCK_VALUES // players)  # that are drawn at a time
    while len(repeats):
        for start in range(0, len(repeats), rows):
            block = repeats[start : start + rows]
            members[block] = _draw_members(players, sizes[block], rng)
            sums[block] = members[block] @ keys
        _, firsts = np.unique(sums, return_index=True)
        repeats = np.delete(np.arange(len(sizes)), firsts)
    return members


def _draw_members(players: int, size: Int[np.ndarray, " n"], rng: torch.Generator) -> Bool[np.ndarray, "n M"]:
    """A random coalition of each size; one of half the players has the first player in it."""
    tickets = torch.rand(len(size), players, generator=rng, dtype=torch.double).numpy()  # no ties
    in_order = np.sort(tickets, 1)
    last = in_order[np.arange(len(size)), size - 1]  # the largest ticket that is in
    drawn = tickets <= last[:, None]
    half = 2 * size == players
    flip = half & ~drawn[:, 0]
    return drawn ^ flip[:, None]


def draw_smooth_masks(height: int, width: int, cells: int, number: int, rng: torch.Generator) -> MakeMasks:
    """Masks of RISE: coarse random bits, enlarged bilinearly beyond the picture and cropped at a random offset.

    What is random is drawn now; the masks `(n, 1, height, width)` are made when they are asked for, by matrix
    products: bilinear enlargement is linear along rows and along columns.
    """
    bits = torch.randint(2, (number, cells, cells), generator=rng).double()
    row_weights = _cell_weights(height, cells)
    column_weights = _cell_weights(width, cells)
    tops = torch.randint(len(row_weights), (number,), generator=rng)
    lefts = torch.randint(len(column_weights), (number,), generator=rng)

    def make_masks(draws: slice) -> Float[Tensor, "n 1 H W"]:
        rows = row_weights[tops[draws]]
        columns = column_weights[lefts[draws]]
        masks = rows @ bits[draws] @ columns.mT
        return masks[:, None]

    return make_masks


def _cell_weights(length: int, cells: int) -> Float[Tensor, "offsets length cells"]:
    """How much each pixel takes from each cell, for every offset at which the enlarged cells can be cropped."""
    cell = -(-length // cells)
    single_cells = torch.eye(cells).double()[None]
    enlarged = F.interpolate(single_cells, size=(cells + 1) * cell, mode="linear")[0]
    crops = enlarged.unfold(1, length, 1)[:, :cell]
    return crops.permute(1, 2, 0)
