"""Activations of many occluded pictures, held as crops of what differs from the untouched picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.methods.incremental.geometry import Span

# Axes for `permute`: (B, C, H, W) becomes (B, H, W, C), so that a pixel is a contiguous row of channels, which is
# copied as a whole; and back again.
_TO_CHANNELS_LAST = (0, 2, 3, 1)
_TO_CHANNELS_FIRST = (0, 3, 1, 2)

# A plain tensor counts this many times: what is computed from it is as large as full passes make it, but the tape
# does not see it. In a transformer's MLP that is four times as wide.
_PLAIN_FACTOR = 4

Around = tuple[int, int, int, int]  # pixels of padding: left, right, top, bottom


class _Recorded(NamedTuple):
    """One operation on the untouched pictures: what it was called with and what it returned."""

    key: tuple
    result: Any
    arguments: tuple  # kept alive, so that no other tensor takes their addresses, which are in the key


class Tape:
    """What the untouched pictures give at each operation: computed by the first pass, looked up by the next ones.

    An entry is used again only for the same operation on the same values at the same position of the pass.

    Attributes:
        widest: bytes of one occluded picture's largest activation.
        held: values that the crops of one occluded picture hold, summed over the operations of a pass.
        spared: values that lie outside of its crops and are not computed again, summed likewise.
    """

    def __init__(self) -> None:
        self.entries: list[_Recorded] = []
        self.pixel_rows: dict[tuple, tuple[Tensor, Tensor]] = {}
        self.widest = 1
        self.rewind()

    def rewind(self) -> None:
        """Return to before the first operation."""
        self.position = 0
        self.held = 0
        self.spared = 0

    def note_size(self, values: Tensor, spared: int = 0, times: int = 1) -> None:
        """Add the size of one occluded picture's activation, counted `times` times."""
        one = values[:1]
        self.widest = max(self.widest, times * one.nbytes)
        self.held += times * one.numel()
        self.spared += spared

    def run_once(self, operation: Callable, *args: object, **options: object) -> Any:
        """`operation(*args, **options)`, or what it returned in the pass before."""
        positional = map(_argument_key, args)
        named = map(_argument_key, options.values())
        key = (operation, *positional, *options, *named)
        position = self.position
        self.position += 1
        if position < len(self.entries) and self.entries[position].key == key:
            return self.entries[position].result
        # This pass is not like the last one: what was recorded from here on is of no use, nor are the rows of pixels.
        self.pixel_rows.clear()
        result = operation(*args, **options)
        self.entries[position:] = [_Recorded(key, result, (args, options))]
        return result

    def padded_pixels(self, base: Tensor, around: Around, padding: float) -> Tensor:
        """A row of channels for each pixel of a base and of the margins around it."""
        key = (id(base), around, padding)
        if key not in self.pixel_rows:
            padded = F.pad(base, around, value=padding)
            pixels = padded.permute(_TO_CHANNELS_LAST)
            rows = pixels.reshape(-1, base.shape[1])
            self.pixel_rows[key] = (rows, base)  # the base is kept alive, so that no other tensor takes its id
        return self.pixel_rows[key][0]


def _argument_key(value: object) -> object:
    """What tells two arguments apart: of a tensor its address, its layout and the number of writes to it."""
    if isinstance(value, Tensor):
        writes = 0 if value.is_inference() else value._version
        return value.data_ptr(), value.shape, value.stride(), value.dtype, writes
    if isinstance(value, list | tuple):
        return tuple(map(_argument_key, value))
    return value


@dataclass
class Crops:
    """`base` (B, C, H, W) outside of the crops, `patch` (R L B, C, h, w) inside, for R rows of L windows.

    It is in one of three states:

    * open, `postponed` and `plain` are None: base and patch hold the values, and rules work on them.
    * postponed, `postponed` is set: the patch has the right shape but wrong values, because they are seldom needed
      (the indices of a max pooling). `postponed()` computes them.
    * written out, `plain` is set, whatever `postponed` is: an operation without a rule has asked for the values.
      They may have been written to since, so base and patch no longer count.

    A state is only left downwards in this list.
    """

    tape: Tape
    base: Tensor
    patch: Tensor
    rows: Span
    columns: Span
    postponed: Callable[[], Tensor] | None = None
    plain: Tensor | None = None

    def __post_init__(self) -> None:
        picture = self.base[:1].numel()
        crop = self.patch[:1].numel()
        self.tape.note_size(self.patch, spared=picture - crop)

    @property
    def is_open(self) -> bool:
        """Whether base and patch hold the values."""
        return self.postponed is None and self.plain is None

    @property
    def is_full(self) -> bool:
        """Whether the crops are as large as the picture."""
        return self.patch.shape[2:] == self.base.shape[2:]

    def cut(
        self,
        rows: Span,
        columns: Span,
        around: Around = (0, 0, 0, 0),
        padding: float = 0.0,
    ) -> Tensor:
        """The values in crops at other positions, (R L B, C, h, w).

        The crops may reach beyond the picture, by the pixels of `around` at most; the values there are `padding`.
        """
        if (rows, columns) == (self.rows, self.columns):
            return self.patch
        left, right, top, bottom = around
        B, C, H, W = self.base.shape
        padded_size = (H + top + bottom, W + left + right)
        # Positions in the padded picture, in which the picture begins at (top, left).
        old = (self.rows.shift(top), self.columns.shift(left))
        new = (rows.shift(top), columns.shift(left))
        # One gather from one table, in which each pixel is a row of channels. The padded base comes first in it, then
        # the patch: every pixel of the new crops is copied once, whichever of the two it comes from.
        base_pixels = self.tape.padded_pixels(self.base, around, padding)
        patch_pixels = self.patch.permute(_TO_CHANNELS_LAST).reshape(-1, C)
        index = _plan_gather(B, padded_size, old, new, self.base.device)
        pixels = torch.cat([base_pixels, patch_pixels]).index_select(0, index)
        patch = pixels.view(-1, rows.size, columns.size, C)
        return patch.permute(_TO_CHANNELS_FIRST)

    def whole(self) -> Tensor:
        """The values of whole pictures, in whatever memory format they are."""
        if self.postponed is not None:
            return self.postponed()
        H, W = self.base.shape[2:]
        return self.cut(self.rows.widen(H), self.columns.widen(W))

    def write_out(self) -> Tensor:
        """The plain tensor; from now on it stands for the crops, so that views of it and writes to it hold."""
        if self.plain is None:
            memory_format = memory_format_of(self.base)
            values = self.whole().contiguous(memory_format=memory_format)
            self.plain = values.clone() if values is self.patch else values  # others may hold the patch
            self.tape.note_size(self.plain, times=_PLAIN_FACTOR)
        return self.plain


def memory_format_of(base: Tensor) -> torch.memory_format:
    """Channels last if the tensor is stored that way and no other, else contiguous."""
    if base.is_contiguous():  # a single channel, or a single pixel, is stored both ways
        return torch.contiguous_format
    channels_last = base.is_contiguous(memory_format=torch.channels_last)
    if channels_last:
        return torch.channels_last
    return torch.contiguous_format


@lru_cache(maxsize=128)
def _plan_gather(
    pictures: int,
    size: tuple[int, int],
    old: tuple[Span, Span],
    new: tuple[Span, Span],
    device: torch.device,
) -> Tensor:
    """Index for `Crops.cut`: for each pixel of the new crops its row in [pixels of the base, pixels of the old crops].

    It depends on shapes alone, so it is made once for each layer and remembered.

    Args:
        pictures: how many there are.
        size: rows and columns of the base with its margins.
        old: rows and columns of the crops that are there.
        new: rows and columns of the crops that are wanted.
        device: where the index is used.
    """
    H, W = size
    R, L = (len(span.starts) for span in old)
    h, w = (span.size for span in old)
    # Five axes: row of windows, column of windows, picture, row of the crop, column of the crop. Where a pixel's row
    # lies depends on the first and the fourth, where its column lies on the second and the fifth.
    rows = _locate_pixels(old[0], new[0])
    columns = _locate_pixels(old[1], new[1])
    y, crop_y, y_inside = (values[:, None, None, :, None] for values in rows)
    x, crop_x, x_inside = (values[None, :, None, None, :] for values in columns)
    picture = torch.arange(pictures, dtype=torch.int32).view(-1, 1, 1)
    window = torch.arange(R * L, dtype=torch.int32).view(R, L, 1, 1, 1)
    crop = window * pictures + picture
    base_row = (picture * H + y) * W + x
    behind_base = pictures * H * W
    patch_row = behind_base + (crop * h + crop_y) * w + crop_x
    index = torch.where(y_inside & x_inside, patch_row, base_row)
    return index.flatten().to(device)


class _Location(NamedTuple):
    """Along one axis, for each window and each pixel of its new crop."""

    picture: Tensor  # position in the picture
    crop: Tensor  # position in the window's old crop
    inside: Tensor  # whether the old crop holds it


def _locate_pixels(old: Span, new: Span) -> _Location:
    """Where each pixel of the new span lies in the picture and in the old span."""
    old_starts = torch.tensor(old.starts, dtype=torch.int32)
    new_starts = torch.tensor(new.starts, dtype=torch.int32)
    offsets = torch.arange(new.size, dtype=torch.int32)
    picture = new_starts[:, None] + offsets
    crop = picture - old_starts[:, None]
    inside = (crop >= 0) & (crop < old.size)
    return _Location(picture, crop, inside)
