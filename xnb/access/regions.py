"""Regions of an input that are removed together: pieces of its places, superpixels, or what a user has numbered."""

from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from xnb.access.rows import follow_rows
from xnb.access.units import see_axes, size_by_axis
from xnb.check import refuse, require
from xnb.types import Batch, Model

# A tensor or an array of whole numbers that broadcasts against one input or, with a row for each, against all.
Regions: TypeAlias = Any


class Division(NamedTuple):
    """What is taken for the regions of an input where nobody has numbered them.

    Attributes:
        few: of signals and volumes with no more values, each value is a region.
        cells: pieces along each axis of places, by how many of these are longer than 1.
    """

    few: int
    cells: dict[int, int]


# The 7 x 7 squares of a picture are as RISE and LIME users take them, the segments of a signal as many. With 512
# samples, two are drawn for each of 256 regions.
PIECES = Division(256, {1: 49, 2: 7, 3: 4})
COARSE_PIECES = Division(16, {1: 16, 2: 4, 3: 2})  # at most 16, for exact Shapley values
SIDE = PIECES.cells[2]


def square_grid(height: int, width: int, cells: int = SIDE) -> Int[Tensor, "H W"]:
    """Number of the square that each pixel lies in: at most `cells` along each side, the last ones may be smaller.

    Raises:
        ValueError: `cells < 1`.
    """
    hint = f"square_grid({height}, {width}, cells=7)"
    require(cells >= 1, "square_grid: cells must be at least 1", cells, hint)
    return piece_grid(torch.Size([height, width]), cells)


def piece_grid(lengths: torch.Size, cells: int) -> Int[Tensor, "*lengths"]:
    """Number of the piece that each place lies in: at most `cells` along each axis, the last ones may be smaller."""
    numbers = torch.zeros((), dtype=torch.long)
    for length in lengths:
        along = _number_cells(length, cells)
        numbers = numbers[..., None] * (along[-1] + 1) + along
    return numbers


def _number_cells(length: int, cells: int) -> Int[Tensor, " n"]:
    size = -(-length // cells)  # rounded up, so that there are never more than `cells`
    return torch.arange(length) // size


def number_regions(
    regions: Regions | None, x: Batch, division: Division = PIECES, model: Model | None = None
) -> Int[Tensor, "#B *#shape"]:
    """Number of the region that each value lies in, 0, 1, 2, ... for each input, which keeps the axes of `x`.

    Args:
        regions: whole numbers, as a tensor or an array: one map that broadcasts against an input (superpixels of
            `skimage.segmentation.slic` are such a map, `torch.arange(N)[:, None]` makes a region of each of N tokens),
            or a row for each input, `(B, 1, H, W)`, each with numbers of its own. Equal numbers are one region, which
            numbers are taken does not matter. None: squares of a picture, 7 along each side; 49 segments of a signal
            `(B, C, T)`, 4 x 4 x 4 blocks of a volume `(B, C, D, H, W)`, the same for all channels; 49 groups of
            neighbouring tokens `(B, N, D)`, with all their features; every value by itself of a table `(B, D)`, and of
            signals, tokens and volumes of 256 values at most.
        division: what is taken for None.
        model: looked at where signals and tokens have one shape, as `xnb.access.units.find_unit_axes` says.

    Raises:
        ValueError: `regions` are not whole numbers, or fit neither one input nor the batch, or both; or they are None
            and it cannot be known which axes are places.
    """
    if regions is None:
        return _default_regions(x, division, model)[None].to(x.device)
    labels = _read_region_labels(regions)
    _refuse_inputs_or_channels(labels, x)
    numbers = follow_rows(labels, len(x), "regions") if labels.ndim == x.ndim else _prepend_axes(labels, x.ndim)
    if not _broadcasts(numbers.shape, x.shape):
        rule = f"regions: must broadcast to one input {tuple(x.shape[1:])}, or have a row for each of {len(x)}"
        refuse(rule, regions, _suggest_shape(labels, x))
    return _renumber(numbers).to(x.device)


def suggest_fewer(x: Batch) -> str:
    """The knob of a method that takes fewer regions of such inputs than their single values."""
    if x.ndim > 2:
        return "regions=None"
    values = x.shape[1:].numel()
    return f"regions=torch.arange({values}) // {-(-values // PIECES.few)}"


def _default_regions(
    x: Batch,
    division: Division,
    model: Model | None,
) -> Int[Tensor, "*#shape"]:
    """Pieces of what has places, the same for all channels; every value of another input by itself."""
    shape = x.shape[1:]
    few = shape.numel() <= division.few and x.ndim != 4
    if x.ndim < 3 or few:
        return torch.arange(shape.numel()).view(shape)
    axes = see_axes(x, model) or _refuse_unknown_places(x)
    places = torch.Size(x.shape[axis] for axis in axes)
    # A picture of one row is cut like a signal.
    long = sum(length > 1 for length in places)
    cells = division.cells.get(max(1, long), 2)
    return piece_grid(places, cells).view(size_by_axis(x, axes))


def _refuse_unknown_places(x: Batch) -> NoReturn:
    """Refuse to choose between steps and tokens, voxels and instances."""
    rule = f"regions: which axes of x {tuple(x.shape)} hold places must be seen, or the regions be numbered"
    if x.ndim == 4:
        colours_last = f"({_write_pieces(list(x.shape[1:3]))})[..., None]"
        refuse(rule, x, f"regions={colours_last}  # of a picture (B, H, W, C)")
    # Two readings of the same axes: only the caller knows whether axis 1 numbers channels or pieces.
    lengths = list(x.shape[2:])
    pieces = _write_pieces(lengths)
    tokens = f"torch.arange({x.shape[1]}).view({[-1, *[1] * len(lengths)]})"
    kinds = ("a signal", "tokens") if x.ndim == 3 else ("a volume", "a bag")
    refuse(rule, x, f"regions={pieces}  # of {kinds[0]}; {tokens} of {kinds[1]}")


def _write_pieces(lengths: list[int]) -> str:
    """Pieces of a signal or volume as code."""
    cells = PIECES.cells.get(len(lengths), 2)
    along = []
    for axis, length in enumerate(lengths):
        ones = [1] * (len(lengths) - 1 - axis)
        along.append(f"{cells ** len(ones)} * (torch.arange({length}) // {-(-length // cells)}).view({[-1, *ones]})")
    return " + ".join(along)


def _read_region_labels(regions: Regions) -> Int[Tensor, "..."]:
    """The numbers as a tensor, whatever holds them."""
    plain = np.ascontiguousarray(regions) if isinstance(regions, np.ndarray) else regions  # torch takes no other
    try:
        numbers = torch.as_tensor(plain)
    except (TypeError, ValueError, RuntimeError):
        refuse("regions: must be a tensor or an array of whole numbers", regions, "regions=None")
    whole = not numbers.is_floating_point() and not numbers.is_complex() and numbers.dtype != torch.bool
    hint = "regions = regions.long()" if isinstance(regions, Tensor) else "regions = torch.as_tensor(regions).long()"
    require(whole, "regions: must be integers", regions, hint)
    return numbers.long()


def _refuse_inputs_or_channels(numbers: Int[Tensor, "..."], x: Batch) -> None:
    """Refuse maps (B, H, W) of as many inputs as there are channels: they may belong to either."""
    stacked = numbers.ndim == x.ndim - 1 >= 2 and len(numbers) == len(x) == x.shape[1] > 1
    either = stacked and _broadcasts(numbers.shape[1:], x.shape[2:])
    rule = f"regions: {len(x)} maps for {len(x)} inputs of {len(x)} channels"
    hint = "regions = regions[:, None]  # a map for each input; regions[None] is one for each channel"
    require(not either, rule, numbers, hint)


def _suggest_shape(numbers: Int[Tensor, "..."], x: Batch) -> str:
    """The line that makes the regions fit, or those of the default."""
    a_map_each = numbers.ndim > 1 and _broadcasts(numbers[:, None].shape, x.shape)
    if a_map_each:
        return "regions = regions[:, None]"
    return "regions=None"


def _prepend_axes(numbers: Int[Tensor, "..."], axes: int) -> Int[Tensor, "..."]:
    """The same with axes of one in front, until it has as many as the batch."""
    missing = max(0, axes - numbers.ndim)
    return numbers.view(*[1] * missing, *numbers.shape)


def _broadcasts(lengths: torch.Size, wanted: torch.Size) -> bool:
    """Whether every axis is as long as is wanted, or 1."""
    if len(lengths) != len(wanted):
        return False
    return all(length in {1, other} for length, other in zip(lengths, wanted, strict=True))


def _renumber(numbers: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """The same regions of each input under the numbers 0, 1, 2, ..., in the order of the old ones."""
    rows = [torch.unique(row, return_inverse=True)[1] for row in numbers]
    return torch.stack(rows) if rows else numbers
