"""Regions of an input that are removed together: squares of a picture, or what a user has numbered."""

import torch
from jaxtyping import Int
from torch import Tensor

from xnb.check import refuse, require
from xnb.types import Batch

SIDE = 7  # squares along each side of a picture: 49 players, as RISE and LIME users take them


def square_grid(height: int, width: int, cells: int = SIDE) -> Int[Tensor, "H W"]:
    """Number of the square that each pixel lies in: at most `cells` along each side, the last ones may be smaller.

    Raises:
        ValueError: `cells < 1`.
    """
    hint = f"square_grid({height}, {width}, cells=7)"
    require(cells >= 1, "square_grid: cells must be at least 1", cells, hint)
    row = _number_cells(height, cells)
    column = _number_cells(width, cells)
    return row[:, None] * (column[-1] + 1) + column


def _number_cells(length: int, cells: int) -> Int[Tensor, " n"]:
    size = -(-length // cells)  # rounded up, so that there are never more than `cells`
    return torch.arange(length) // size


def number_regions(regions: Int[Tensor, "..."] | None, x: Batch, side: int = SIDE) -> Int[Tensor, "*#shape"]:
    """Number of the region that each value of an input lies in, with an axis for each of the input's.

    Args:
        regions: numbers that broadcast against one input; None: `side` squares along each side of a picture, and
            every value of other inputs by itself.

    Raises:
        ValueError: `regions` are not integers, do not fit an input, or leave a number out.
    """
    if regions is None:
        return _default_regions(x, side).to(x.device)
    integers = not regions.is_floating_point() and regions.dtype != torch.bool
    require(integers, "regions: must be integers", regions, "regions = regions.long()")
    shape = x.shape[1:]
    numbers = _prepend_axes(regions, len(shape))
    if numbers.ndim == x.ndim and len(numbers) == 1:  # one map, written as a batch of one
        numbers = numbers.squeeze(0)
    if not _broadcasts(numbers, shape):
        refuse(f"regions: must broadcast to one input {tuple(shape)}, one map for the batch", regions, "regions[0]")
    if not _is_without_gap(numbers):
        rule = "regions: must be numbered 0, 1, 2, ... without a gap"
        hint = "regions = torch.unique(regions, return_inverse=True)[1]"
        refuse(rule, regions.unique().tolist(), hint)
    return numbers.long().to(x.device)


def _default_regions(x: Batch, side: int) -> Int[Tensor, "*#shape"]:
    """Squares of a picture, the same for all channels; every value of another input by itself."""
    shape = x.shape[1:]
    if x.ndim != 4:
        return torch.arange(shape.numel()).view(shape)
    _, height, width = shape
    return _prepend_axes(square_grid(height, width, side), len(shape))


def _prepend_axes(numbers: Int[Tensor, "..."], axes: int) -> Int[Tensor, "..."]:
    """The same with axes of one in front, until it has as many as an input."""
    missing = axes - numbers.ndim
    return numbers.view(*[1] * missing, *numbers.shape)


def _broadcasts(numbers: Int[Tensor, "..."], shape: torch.Size) -> bool:
    """Whether every axis is as long as the input's, or 1."""
    if numbers.ndim != len(shape):
        return False
    pairs = zip(numbers.shape, shape, strict=True)
    return all(length in {1, wanted} for length, wanted in pairs)


def _is_without_gap(numbers: Int[Tensor, "..."]) -> bool:
    """Whether every number from 0 to the largest occurs."""
    if not numbers.numel():
        return False
    if int(numbers.min()) != 0:
        return False
    occurrences = torch.bincount(numbers.flatten().long())
    return bool((occurrences > 0).all())
