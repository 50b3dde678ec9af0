"""Activations of many occluded pictures, held as crops of what differs from the untouched picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.methods.incremental.geometry import Span

CHANNELS_INSIDE = (0, 2, 3, 1)  # a pixel is then a contiguous row of channels, and rows are what is copied

# A plain tensor counts for more than itself: what follows from it is not seen. In a transformer's MLP it is four
# times as wide.
UNSEEN = 4


class Tape:
    """What the untouched pictures give at each operation: computed by the first pass, looked up by the next ones.

    An entry is used again only for the same operation on the same values at the same place of the pass.
    """

    def __init__(self) -> None:
        self.entries: list[tuple] = []
        self.rows: dict[tuple, tuple[Tensor, Tensor]] = {}
        self.widest = 1  # bytes of one occluded picture's largest activation
        self.rewind()

    def rewind(self) -> None:
        """To before the first operation."""
        self.place = 0
        self.held, self.spared = 0, 0  # values of one occluded picture's activations, in and out of the crops

    def weigh(self, values: Tensor, spared: int = 0, times: int = 1) -> None:
        """Note the size of one occluded picture's activation; it is taken for this many."""
        self.widest = max(self.widest, times * values[:1].nbytes)
        self.held, self.spared = self.held + times * values[:1].numel(), self.spared + spared

    def once(self, operation: Callable, *args: object, **options: object) -> object:
        """`operation(*args, **options)`, or what it was in the pass before."""
        key = (operation, *map(mark, args), *options, *map(mark, options.values()))
        if self.place == len(self.entries) or self.entries[self.place][0] != key:
            self.rows.clear()
            # with the arguments, so that no other tensor takes their place in memory
            self.entries[self.place :] = [(key, operation(*args, **options), args, options)]
        self.place += 1
        return self.entries[self.place - 1][1]

    def pixels(self, base: Tensor, around: tuple[int, ...], padding: float) -> Tensor:
        """A row of channels for each pixel of a base and of the margins around it."""
        key = id(base), around, padding
        if key not in self.rows:
            rows = F.pad(base, around, value=padding).permute(CHANNELS_INSIDE).reshape(-1, base.shape[1])
            self.rows[key] = rows, base  # the base too, for its id
        return self.rows[key][0]


def mark(value: object) -> object:
    """What tells two arguments apart: of a tensor its place in memory and the number of writes to it."""
    if isinstance(value, Tensor):
        writes = 0 if value.is_inference() else value._version
        return value.data_ptr(), value.shape, value.stride(), value.dtype, writes
    return tuple(map(mark, value)) if isinstance(value, list | tuple) else value


@dataclass
class Crops:
    """`base` (B, C, H, W) outside of the crops, `patch` (B R L, C, h, w) inside, for R rows of L windows."""

    tape: Tape
    base: Tensor
    patch: Tensor
    rows: Span
    columns: Span
    late: Callable[[], Tensor] | None = None  # the values, where they are seldom asked for; the patch means nothing
    plain: Tensor | None = None  # the values, once an operation without a rule has asked for them

    def __post_init__(self) -> None:
        self.tape.weigh(self.patch, self.base[:1].numel() - self.patch[:1].numel())

    @property
    def full(self) -> bool:
        return self.patch.shape[2:] == self.base.shape[2:]

    def cut(self, rows: Span, columns: Span, around: tuple[int, ...] = (0, 0, 0, 0), padding: float = 0.0) -> Tensor:
        """The values in other crops, with `padding` around the picture: left, right, top, bottom."""
        if (rows, columns) == (self.rows, self.columns):
            return self.patch
        B, C, H, W = self.base.shape
        size = H + around[2] + around[3], W + around[0] + around[1]
        pairs = (self.rows, self.columns), (rows, columns)
        old, new = ((y.moved(around[2]), x.moved(around[0])) for y, x in pairs)
        base = self.tape.pixels(self.base, around, padding)
        patch = self.patch.permute(CHANNELS_INSIDE).reshape(-1, C)
        found = torch.cat([base, patch]).index_select(0, sources(B, size, old, new, base.device))
        return found.view(-1, rows.size, columns.size, C).permute(0, 3, 1, 2)

    def whole(self) -> Tensor:
        """The values of whole pictures, in whatever memory format they are."""
        H, W = self.base.shape[2:]
        return self.late() if self.late else self.cut(self.rows.whole(H), self.columns.whole(W))

    def write_out(self) -> Tensor:
        """The plain tensor; from now on it stands for the crops, so that views of it and writes to it hold."""
        if self.plain is None:
            values = self.whole().contiguous(memory_format=layout(self.base))
            self.plain = values.clone() if values is self.patch else values  # others may hold the patch
            self.tape.weigh(self.plain, times=UNSEEN)
        return self.plain


def layout(base: Tensor) -> torch.memory_format:
    last = base.is_contiguous(memory_format=torch.channels_last) and not base.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


@lru_cache(maxsize=128)
def sources(
    pictures: int, size: tuple[int, int], old: tuple[Span, Span], new: tuple[Span, Span], device: torch.device
) -> Tensor:
    """For each pixel of the new crops its row in [pixels of the base, pixels of the old crops]."""
    (y, up, in_rows), (x, left, in_columns) = map(places, old, new)
    y, up, in_rows = (axis[:, None, :, None] for axis in (y, up, in_rows))  # axes: row and column of
    x, left, in_columns = (axis[None, :, None, :] for axis in (x, left, in_columns))  # the window, of the pixel
    (H, W), (R, L), (h, w) = size, *zip(*((len(span.starts), span.size) for span in old), strict=True)
    picture = torch.arange(pictures, dtype=torch.int32)[:, None, None, None, None]
    window = picture * R * L + torch.arange(R * L, dtype=torch.int32).view(R, L, 1, 1)
    base, patch = (picture * H + y) * W + x, (window * h + up) * w + left + pictures * H * W
    return torch.where(in_rows & in_columns, patch, base).flatten().to(device)


def places(old: Span, new: Span) -> tuple[Tensor, Tensor, Tensor]:
    """Of each pixel of the new spans: its place in the picture, its place in the old span, whether that holds it."""
    starts = torch.tensor([new.starts, old.starts], dtype=torch.int32)
    place = starts[0][:, None] + torch.arange(new.size, dtype=torch.int32)
    inside = place - starts[1][:, None]
    return place, inside, (inside >= 0) & (inside < old.size)
