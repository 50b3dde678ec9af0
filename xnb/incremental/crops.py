"""Activations of many occluded pictures, held as crops of what differs from the untouched picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.incremental.geometry import Span

BATCH = (0, 2, 3, 1)  # a row of channels for each pixel: what is copied is contiguous


class Tape:
    """What the untouched pictures give at each operation: computed by the first pass, looked up by the next ones.

    An entry is used again only for the same operation on the same values at the same place of the pass.
    """

    def __init__(self) -> None:
        self.entries: list[tuple] = []
        self.rows: dict[tuple, tuple] = {}
        self.place = 0

    def once(self, operation: Callable, *args: object, **options: object) -> object:
        """`operation(*args, **options)`, or what it was in the pass before."""
        key = (operation, *map(mark, args), *options, *map(mark, options.values()))
        if self.place == len(self.entries) or self.entries[self.place][0] != key:
            # the arguments are kept, so that no other tensor takes their address
            self.entries[self.place :] = [(key, operation(*args, **options), args, options)]
            self.rows.clear()
        self.place += 1
        return self.entries[self.place - 1][1]

    def pixels(self, base: Tensor, margins: tuple[int, ...], padding: float) -> Tensor:
        """A row of channels for each pixel of a base and of its margins."""
        key = id(base), margins, padding
        if key not in self.rows:
            rows = F.pad(base, margins, value=padding).permute(BATCH).reshape(-1, base.shape[1])
            self.rows[key] = rows, base
        return self.rows[key][0]


def mark(value: object) -> object:
    """What tells two arguments apart: of a tensor its place in memory and the number of writes to it."""
    if isinstance(value, Tensor):
        writes = 0 if value.is_inference() else value._version
        return value.data_ptr(), value.shape, value.stride(), value.dtype, writes
    return tuple(map(mark, value)) if isinstance(value, list | tuple) else value


@dataclass
class Crops:
    """`base` (B, C, H, W) outside of the crops, `patch` (B R L, C, h, w) inside: R times L windows a picture."""

    tape: Tape
    base: Tensor
    patch: Tensor
    rows: Span
    columns: Span
    later: Callable[[], Tensor] | None = None  # the values, where they are seldom asked for: no patch then
    written: Tensor | None = None  # the plain tensor, once something without a rule has asked for it

    @property
    def open(self) -> bool:
        """Whether the crops still are what counts."""
        return self.later is None and self.written is None

    @property
    def full(self) -> bool:
        return self.patch.shape[2:] == self.base.shape[2:]

    def write_out(self) -> Tensor:
        """The plain tensor; from now on it stands for the crops, so that views of it and writes to it hold."""
        if self.written is None:
            values = self.later() if self.later else self.whole()
            self.written = values.contiguous(memory_format=layout(self.base))
        return self.written

    def cut(self, rows: Span, columns: Span, margins: tuple[int, ...] = (0, 0, 0, 0), padding: float = 0.0) -> Tensor:
        """The occluded activations in other crops, `padding` in the margins (left, right, top, bottom)."""
        if (rows, columns) == (self.rows, self.columns):
            return self.patch
        B, C, H, W = self.base.shape
        base = self.tape.pixels(self.base, margins, padding)
        patch = self.patch.permute(BATCH).reshape(-1, C)
        index = sources(B, (H, W), margins, (self.rows, self.columns), (rows, columns), self.base.device)
        found = torch.cat([base, patch]).index_select(0, index)
        return found.view(-1, rows.size, columns.size, C).permute(0, 3, 1, 2)

    def whole(self) -> Tensor:
        """The occluded activations, nothing left out, in whatever memory format they are."""
        H, W = self.base.shape[2:]
        return self.cut(self.rows.whole(H), self.columns.whole(W))


def layout(base: Tensor) -> torch.memory_format:
    last = base.is_contiguous(memory_format=torch.channels_last) and not base.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


@lru_cache(maxsize=512)
def sources(
    pictures: int,
    picture: tuple[int, int],
    margins: tuple[int, ...],
    old: tuple[Span, Span],
    new: tuple[Span, Span],
    device: torch.device,
) -> Tensor:
    """For each pixel of the new crops its row in [pixels of the base, pixels of the old crops]."""
    H, W = picture[0] + margins[2] + margins[3], picture[1] + margins[0] + margins[1]
    (y, up, in_rows), (x, left, in_columns) = (map(torch.tensor, places(a, b)) for a, b in zip(old, new, strict=True))
    # axes: picture, window row, window column, row, column
    number = torch.arange(pictures)[:, None, None, None, None]
    y, up, in_rows = (axis[None, :, None, :, None] for axis in (y + margins[2], up, in_rows))
    x, left, in_columns = (axis[None, None, :, None, :] for axis in (x + margins[0], left, in_columns))
    R, L = len(new[0].starts), len(new[1].starts)
    window = (number * R + torch.arange(R)[:, None, None, None]) * L + torch.arange(L)[:, None, None]
    base = (number * H + y) * W + x
    patch = (window * old[0].size + up) * old[1].size + left + pictures * H * W
    return torch.where(in_rows & in_columns, patch, base).flatten().to(device)


def places(old: Span, new: Span) -> tuple[list, list, list]:
    """Of each pixel of the new spans: its place in the picture, in the old span, and whether that holds it."""
    picture = [[start + i for i in range(new.size)] for start in new.starts]
    inside = [[at - start for at in line] for line, start in zip(picture, old.starts, strict=True)]
    return picture, inside, [[0 <= at < old.size for at in line] for line in inside]
