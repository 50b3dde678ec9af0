"""Which axes of a layer's output are channels and which are places, so that it becomes maps `(B, D, *places)`.

Nothing is taken from the number of axes. What the functions of the model do to them shows it (`axis_watch`): a
convolution has channels on the second axis, a norm or a linear layer on the last, a pooling runs over places, and
patches that become tokens keep their order, whatever stands beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt, prod
from typing import NamedTuple

import torch
from torch import Tensor

from xnb.access.layout.axes import ASTRAY, BATCH, CHANNEL, PLACE, Axis, Factor, axis_size, kind_of, mark_axis
from xnb.access.layout.axis_watch import SeenAxes
from xnb.check import refuse, require
from xnb.types import Batch

Maps = Tensor  # (B, D, *places)
Layout = str | Callable[[Tensor], Tensor] | None
_NO_LAYER = "xnb.attribute(model, x, target, 'feature_ablation')  # needs no layer"


@dataclass(frozen=True, eq=False)
class MapLayout:
    """How the output of a layer becomes maps, and how a map lies on the input.

    Attributes:
        arrange: the output as maps `(B, D, *places)`, channels first, places in the order of the input's axes.
        places: axes of the input along which the places lie.
        part: whether some of the output lies at no place of the input, as a class token does.
        channel_axes: how many axes the channels take.
    """

    arrange: Callable[[Tensor], Maps]
    places: tuple[int, ...]
    part: bool = False
    channel_axes: int = 1

    def lay_on_input(self, values: Tensor, x: Batch) -> Tensor:
        """Values `(B, *places)` with as many axes as the input, of size 1 where it has no places."""
        sizes = [1] * x.ndim
        sizes[0] = len(values)
        for axis, size in zip(self.places, values.shape[1:], strict=True):
            sizes[axis] = size
        return values.reshape(sizes)


class Unreadable(NamedTuple):
    """Why the layout is not known: what must hold, and the knob that leads on, where one does."""

    rule: str
    knob: str = ""


def find_layout(
    layer: str, output: Tensor, axes: SeenAxes, x: Batch, layout: Layout, suggest: Callable[[], str]
) -> MapLayout:
    """How the output of a layer becomes maps.

    Args:
        layout: "channels_first" for `(B, D, *places)`, "channels_last" for `(B, *places, D)`, or a function that
            makes `(B, D, *places)` of the output by moving its values or leaving some out; None finds it.
        suggest: says what to try where the output is no maps.

    Raises:
        ValueError: the output is no maps, it cannot be known which axis is which, or `layout` makes no maps of it.
    """
    places = find_places(axes.input)
    if not 1 <= len(places) <= 3:
        rule = "class activation map: x must have an axis of inputs, one of channels, and one to three of places"
        refuse(rule, x, _NO_LAYER)
    if layout is not None:
        unreadable = _check_rows(layer, axes)
        # Where no axis at all is known, as behind compiled code, the caller's word stands.
        if unreadable is not None and any(BATCH in _kinds(axis) for axis in axes.layer):
            refuse(unreadable.rule, output, suggest())
        return _read_stated_layout(layer, output, axes, layout, places)
    found = read_layout(layer, output, axes, places)
    if isinstance(found, Unreadable):
        refuse(found.rule, output, found.knob or suggest())
    return found


def find_places(axes: list[Axis]) -> tuple[int, ...]:
    """The axes of the input that hold places, known from now on for all tensors that lie along them; none if unknown.

    One axis may hold channels: that which a function showed, else the first of which nothing was shown.
    """
    inner = range(1, len(axes))
    channels = [i for i in inner if kind_of(axes[i]) == CHANNEL]
    if len(channels) > 1:
        return ()
    unknown = [i for i in inner if kind_of(axes[i]) != PLACE]
    places = tuple(i for i in inner if i not in (channels or unknown)[:1])
    for i in places:
        mark_axis(axes[i], PLACE)
    return places


def read_layout(layer: str, output: Tensor, axes: SeenAxes, places: tuple[int, ...]) -> MapLayout | Unreadable:
    """The layout that the functions of the model showed."""
    unreadable = _check_rows(layer, axes)
    if unreadable is not None:
        return unreadable
    cut = _find_piece(axes.layer)
    factors = [factor for axis in cut.axes for factor in axis]
    order = _order_factors(factors, places)
    flat = not any(order.places) if order else False
    # Without places in the output, only a layer with other axes than the input is surely none of maps.
    if flat and output.ndim != len(axes.input):
        rule = f"layer: {layer!r} must return maps, (B, D, places) or (B, places, D)"
        return Unreadable(rule)
    if order is None:
        rule = f"layer: which axes of {layer!r} are channels, and where on x its places lie, must be known"
        return Unreadable(rule, _suggest_layout(output, axes, places))
    sizes = [factor.size for factor in factors]
    channel_axes = sum(any(kind == CHANNEL for kind in _kinds(axis)) for axis in cut.axes)
    return MapLayout(_Arrangement(cut, sizes, order), places, cut.axis is not None, channel_axes)


def _kinds(axis: Axis) -> list[str | None]:
    return [factor.role.kind for factor in axis]


def _check_rows(layer: str, axes: SeenAxes) -> Unreadable | None:
    """Say why the first axis is not that of the inputs; None where it is."""
    first, *others = axes.layer
    alone = not first and not axes.input[0]
    is_batch = alone or (len(first) == 1 and first[0].role.kind == BATCH and first[0].complete)
    elsewhere = any(BATCH in _kinds(axis) for axis in others)
    if is_batch and not elsewhere:
        return None
    return Unreadable(f"layer: {layer!r} must return one row for each input, in their order")


class _Cut(NamedTuple):
    """A part of an output whose places are known.

    Attributes:
        axis: the axis that is cut; None where the whole output lies on the input.
        start: the first value that is kept.
        axes: what the axes of the part stand for.
    """

    axis: int | None
    start: int
    axes: list[Axis]


def _find_piece(axes: list[Axis]) -> _Cut:
    """The one piece of a joined axis that lies on the input: the patches beside a class token."""
    inner = axes[1:]
    for i, axis in enumerate(axes[1:]):
        pieces = axis[0].pieces if len(axis) == 1 else ()
        on_input = [piece for piece in pieces if piece and all(_lies_on_input(factor) for factor in piece)]
        # Two such pieces would be two maps, and nothing says which is meant.
        if len(on_input) == 1:
            at = next(k for k, piece in enumerate(pieces) if piece is on_input[0])
            start = sum(axis_size(piece) for piece in pieces[:at])
            return _Cut(i + 1, start, [*inner[:i], on_input[0], *inner[i + 1 :]])
    return _Cut(None, 0, inner)


def _lies_on_input(factor: Factor) -> bool:
    return factor.role.kind == PLACE and factor.role.origin not in (None, ASTRAY)


class _Order(NamedTuple):
    """Numbers of the factors of the channels, and for each axis of places in the input those that lie along it."""

    channels: list[int]
    places: list[list[int]]


def _order_factors(factors: Sequence[Factor], places: tuple[int, ...]) -> _Order | None:
    """Sort the factors by what they stand for; None if that is not known of one, or is no map of the input."""
    channels = [i for i, factor in enumerate(factors) if factor.role.kind == CHANNEL]
    along: dict[int, list[int]] = {axis: [] for axis in places}
    unknown = []
    for i, factor in enumerate(factors):
        if i in channels:
            continue
        if not _lies_on_input(factor):
            unknown.append(i)
        else:
            along.setdefault(factor.role.origin or 0, []).append(i)
    if len(along) > len(places):  # along the channels of the input
        return None
    if unknown and not _settle_unknown(factors, unknown, channels, along):
        return None
    for numbers in along.values():
        numbers.sort(key=lambda i: -factors[i].step)
        if not _is_regular([factors[i] for i in numbers]):
            return None
    return _Order(channels, list(along.values()))


def _settle_unknown(
    factors: Sequence[Factor], unknown: list[int], channels: list[int], along: dict[int, list[int]]
) -> bool:
    """Beside all the places, what is left are channels; beside channels, as many axes as the input has are places."""
    kinds = {factors[i].role.kind for i in unknown}
    # What went astray, or is made of pieces, may be anything.
    if any(factors[i].role.origin == ASTRAY or factors[i].pieces for i in unknown):
        return False
    if all(along.values()) and not channels and kinds == {None}:
        channels.extend(unknown)
        return True
    if any(along.values()) or not channels or len(unknown) != len(along) or kinds != {PLACE}:
        return False
    for numbers, i in zip(along.values(), unknown, strict=True):
        numbers.append(i)
    return True


def _is_regular(factors: Sequence[Factor]) -> bool:
    """Whether factors, the slowest first, number places at equal distances over the whole axis."""
    if not factors:
        return True
    first = factors[0]
    for slow, fast in pairwise(factors):
        if slow.role is not fast.role or slow.step != fast.size * fast.step:
            return False
    return first.size * first.step == first.whole


@dataclass(frozen=True, eq=False)
class _Arrangement:
    """Makes maps of an output: cuts out what lies on the input, and moves channels in front of places."""

    cut: _Cut
    sizes: list[int]
    order: _Order

    def __call__(self, output: Tensor) -> Maps:
        if self.cut.axis is not None:
            size = axis_size(self.cut.axes[self.cut.axis - 1])
            output = output.narrow(self.cut.axis, self.cut.start, size)
        in_front = [1 + i for i in self.order.channels]
        behind = [1 + i for numbers in self.order.places for i in numbers]
        # Joined axes are taken apart first, since a factor of one may be a channel and its neighbour a place.
        split = output.reshape(len(output), *self.sizes)
        moved = split.permute(0, *in_front, *behind)
        D = prod(self.sizes[i] for i in self.order.channels)
        places = [prod(self.sizes[i] for i in numbers) for numbers in self.order.places]
        return moved.reshape(len(output), D, *places)


def _suggest_layout(output: Tensor, axes: SeenAxes, places: tuple[int, ...]) -> str:
    """A knob to begin with, which the reader of the refusal has to judge."""
    if output.ndim == len(places) + 2:
        if len(axes.layer) > 1 and kind_of(axes.layer[1]) == CHANNEL:
            return 'layout="channels_first"  # for (B, D, places); "channels_last" for (B, places, D)'
        return 'layout="channels_last"  # for (B, places, D); "channels_first" for (B, D, places)'
    if output.ndim != 3 or len(places) != 2:
        return ""
    height, width = (axis_size(axes.input[i]) for i in places)
    # The largest grid of the input's proportions that the tokens fill; those before it are class tokens.
    rows = isqrt(output.shape[1] * height // width)
    columns = output.shape[1] // max(rows, 1)
    first = output.shape[1] - rows * columns
    grid = f"out[:, {first}:].unflatten(1, ({rows}, {columns})).movedim(-1, 1)"
    return f"layout=lambda out: {grid}  # for tokens (B, N, D)"


def _read_stated_layout(
    layer: str, output: Tensor, axes: SeenAxes, layout: Layout, places: tuple[int, ...]
) -> MapLayout:
    if callable(layout):
        _check_rearrangement(output, layout, places)
        return MapLayout(layout, places)
    known = layout in ("channels_first", "channels_last")
    require(known, "layout: must be known", layout, 'layout="channels_first"  # or "channels_last", or a function')
    rule = f"layout: {layer!r} must return {len(places)} axes of places beside inputs and channels"
    require(output.ndim == len(places) + 2, rule, output, _suggest_layout(output, axes, places))
    if layout == "channels_first":
        return MapLayout(torch.clone, places)
    return MapLayout(lambda out: out.movedim(-1, 1), places)


def _check_rearrangement(output: Tensor, layout: Callable[[Tensor], Tensor], places: tuple[int, ...]) -> None:
    """Refuse a function that computes: then the gradient of its maps would be another than what it makes of one."""
    numbers = torch.arange(output.numel(), dtype=torch.double).view(output.shape)
    maps = layout(numbers)
    rule = f"layout: must return maps (B, D, {len(places)} axes of places)"
    fits = isinstance(maps, Tensor) and maps.ndim == len(places) + 2 and len(maps) == len(output)
    require(fits, rule, maps, "layout=None  # found from what the model does")
    # The layout is tried on numbers that name their own place: a quotient is the row, a fraction was computed.
    of_row = maps.flatten(1)
    rows = torch.arange(len(output))[:, None]
    stays = (of_row.div(output[0].numel(), rounding_mode="floor") == rows).all() if output.numel() else True
    whole = of_row.unique().numel() == of_row.numel() and bool((of_row == of_row.round()).all())
    rule = "layout: must move values or leave some out, within each input, and change none"
    require(bool(stays) and whole, rule, maps, "layout=None  # found from what the model does")
