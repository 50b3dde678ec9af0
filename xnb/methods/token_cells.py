"""Cells of a regular grid, from what overlapping tokens read of an input."""

from itertools import pairwise
from math import prod

import torch
from jaxtyping import Int
from torch import Tensor


def find_cells(
    low: Int[Tensor, "n axes"], high: Int[Tensor, "n axes"], shape: torch.Size
) -> Int[Tensor, "*shape"] | None:
    """For each value of an input the token in whose cell it lies; None if the tokens lie on no regular grid.

    Along each axis tokens read stretches of one length at one distance, cut off at the edges. A cell reaches half way
    to the next one; where as many cells of the distance fill the axis exactly, these are taken.

    Args:
        low: where what each token reads begins, on each axis of the input.
        high: and where it ends.
    """
    numbers = []  # on each axis, which of its stretches each token has
    places = []  # and in which of them each value lies
    for axis, length in enumerate(shape):
        stretches = torch.stack([low[:, axis], high[:, axis]], 1)
        distinct, number = stretches.unique(dim=0, return_inverse=True)
        places_on_axis = torch.arange(length, device=low.device)
        place = _divide_axis(distinct[:, 0].tolist(), distinct[:, 1].tolist(), places_on_axis)
        if place is None:
            return None
        numbers.append(number)
        places.append((place, len(distinct)))
    sizes = [size for _, size in places]
    tokens = _fill_cells(numbers, sizes)
    if tokens is None:
        return None
    grid = torch.meshgrid(*[place for place, _ in places], indexing="ij")
    outside = torch.stack(grid).amin(0) < 0
    inside = [place.clamp(min=0) for place in grid]
    return tokens[tuple(inside)].masked_fill(outside, -1)


def _fill_cells(numbers: list[Int[Tensor, " n"]], sizes: list[int]) -> Int[Tensor, "*cells"] | None:
    """The token of each cell; None unless each cell has one."""
    count = len(numbers[0])
    tokens = numbers[0].new_full(sizes, -1)
    tokens[tuple(numbers)] = torch.arange(count, device=tokens.device)
    full = prod(sizes) == count and bool((tokens >= 0).all())
    return tokens if full else None


def _divide_axis(lows: list[int], highs: list[int], places: Int[Tensor, " n"]) -> Int[Tensor, " n"] | None:
    """For each place of an axis, in which stretch's cell it lies, -1 in none; None if distances differ.

    A beginning at 0 and an end at the last place may be cut off: they say nothing about distances.
    """
    length = len(places)
    count = len(lows)
    if count == 1:
        return torch.zeros_like(places)
    steps = {b - a for a, b in pairwise(lows) if a > 0}
    steps |= {b - a for a, b in pairwise(highs) if b < length}
    if length % count == 0 and steps <= {length // count} and _meet_middles(lows, highs, length // count):
        return places // (length // count)
    uncut = all(low > 0 for low in lows[1:]) and all(high < length for high in highs[:-1])
    distances = {b - a for a, b in pairwise(lows)} if uncut else set()
    if len(distances) != 1 or len(steps) > 1:
        return None
    # half way between where a stretch ends and the next begins, the odd place to the first
    edges = [(high + low + 1) // 2 for high, low in zip(highs, lows[1:], strict=False)]
    cells = torch.bucketize(places, places.new_tensor(edges), right=True)
    outside = (places < lows[0]) | (places >= highs[-1])
    return cells.masked_fill(outside, -1)


def _meet_middles(lows: list[int], highs: list[int], step: int) -> bool:
    """Whether each stretch holds the middle of its cell."""
    middles = [step * (number + 0.5) for number in range(len(lows))]
    return all(low <= middle <= high for low, middle, high in zip(lows, middles, highs, strict=True))
