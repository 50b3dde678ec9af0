"""What the axes of a tensor stand for: channels, or places of the input; and how axes are cut, merged and resized.

An axis is a product of factors, the slowest first, as `view` and `reshape` merge and split axes; one of size 1 has
none. Factors of equal meaning share a role: the rows of a picture and those of a smaller map are the same thing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

BATCH = "batch"
CHANNEL = "channel"
PLACE = "place"
ASTRAY = -1  # origin of places that were turned, cut or shuffled: they no longer lie as those of the input do


class Role:
    """What factors stand for, filled in when a function shows it, for all tensors that have them.

    Attributes:
        kind: `BATCH`, `CHANNEL` or `PLACE`; None while no function has shown it.
        origin: for places, the axis of the input along which they lie; None where it is unknown.
        rolled: the axis before its values were moved on in a circle, and by how many places.
    """

    def __init__(self, kind: str | None = None, origin: int | None = None) -> None:
        self.kind = kind
        self.origin = origin
        self.rolled: tuple[Axis, int] | None = None
        self.same: Role | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Factor:
    """A part of an axis.

    Attributes:
        name: its role, or one that was found to be the same.
        whole: how many values the role has in all; `size` of them are here, `step` apart.
        padding: how many of them were added at the borders.
        pieces: of an axis put together by `cat`, the axes of its parts; their sizes, where a part has none, are 1.
    """

    name: Role
    size: int
    whole: int
    step: int = 1
    padding: int = 0
    pieces: tuple["Axis", ...] = ()

    @property
    def role(self) -> Role:
        """What it stands for."""
        role = self.name
        while role.same is not None:
            role = role.same
        return role

    @property
    def complete(self) -> bool:
        """Whether all values of the role are here."""
        return self.size == self.whole


Axis = tuple[Factor, ...]


def make_axis(size: int, kind: str | None = None, origin: int | None = None) -> Axis:
    """An axis with a role of its own."""
    if size == 1:
        return ()
    return (Factor(Role(kind, origin), size, size),)


def make_axes(shape: Iterable[int]) -> list[Axis]:
    """Axes of which nothing is known."""
    return [make_axis(size) for size in shape]


def resize_axis(axis: Axis, size: int, *, padded: bool = False) -> Axis:
    """Another number of values along the same thing, as a pooling returns."""
    if size == 1:
        return ()
    if len(axis) != 1:
        return make_axis(size, kind_of(axis))
    before = axis[0]
    if before.size == before.whole == size and not before.padding and not before.pieces:
        return axis
    padding = max(0, before.padding + size - before.size) if padded else 0
    return (Factor(before.role, size, size, padding=padding),)


def axis_size(axis: Axis) -> int:
    """How many values an axis has."""
    return prod(factor.size for factor in axis)


def kind_of(axis: Axis) -> str | None:
    """The kind that all factors of an axis have."""
    if len(axis) == 1:
        return axis[0].role.kind
    kinds = {factor.role.kind for factor in axis}
    return kinds.pop() if len(kinds) == 1 else None


def mark_axis(axis: Axis, kind: str) -> None:
    """Say what an axis stands for, where no function before has shown it."""
    for factor in axis:
        if factor.role.kind is not None:
            return
    for factor in axis:
        factor.role.kind = kind


def lead_astray(axis: Axis) -> Axis:
    """The same axis with its values in another order, which for channels is as good as the old one."""
    kind = kind_of(axis)
    return make_axis(axis_size(axis), kind, None if kind == CHANNEL else ASTRAY)


def roll_axis(axis: Axis, shift: int) -> Axis:
    """The axis with its values moved on in a circle; moved all the way round or back, it is what it was."""
    size = axis_size(axis)
    before, moved = (len(axis) == 1 and axis[0].role.rolled) or (axis, 0)
    total = (moved + shift) % size
    if total == 0 and axis_size(before) == size:
        return before
    rolled = lead_astray(axis)
    for factor in rolled:
        factor.role.rolled = (before, total)
    return rolled


def regroup_axes(axes: Iterable[Axis], shape: Sequence[int]) -> list[Axis]:
    """Axes after `reshape`: factors keep their order, and are split where a new axis begins within one."""
    rest = [factor for axis in axes for factor in axis]
    grouped: list[Axis] = []
    for size in reversed(shape):
        axis = _take_factors(rest, size)
        if axis is None:  # a cut that no factor has: what is in front cannot be told apart any more
            break
        grouped.insert(0, axis)
    unknown = [make_axis(size) for size in shape[: len(shape) - len(grouped)]]
    return unknown + grouped


def _take_factors(rest: list[Factor], size: int) -> Axis | None:
    """Take the last factors, of `size` values together; None if they do not come out even."""
    axis: list[Factor] = []
    while size > 1:
        factor = rest.pop()
        if factor.size > size:
            if factor.size % size or factor.pieces:
                return None
            rest.append(replace(factor, size=factor.size // size, step=factor.step * size))
            factor = replace(factor, size=size)
        elif size % factor.size:
            return None
        size //= factor.size
        axis.insert(0, factor)
    return _merge_factors(axis)


def _merge_factors(axis: Iterable[Factor]) -> Axis:
    """The axis, with neighbours that were split from one factor as one again."""
    merged: list[Factor] = []
    for factor in axis:
        last = merged[-1] if merged else None
        if last is not None and _follows(last, factor):
            merged[-1] = replace(last, size=last.size * factor.size, step=factor.step)
        else:
            merged.append(factor)
    return tuple(merged)


def _follows(slow: Factor, fast: Factor) -> bool:
    of_one = slow.role is fast.role and slow.whole == fast.whole
    return of_one and slow.step == fast.size * fast.step


def unite_axes(first: Axis, second: Axis) -> Axis:
    """What two axes that are added to each other stand for: the same, and the better known of them is returned."""
    if len(first) == len(second) == 1:
        _unite_roles(first[0], second[0])
        if first[0].role is second[0].role and not first[0].pieces and not second[0].pieces:
            return first  # equally well known
    return max(first, second, key=_knowledge)


def _unite_roles(first: Factor, second: Factor) -> None:
    """Let two factors share one role, which knows what each of theirs did; not where these contradict each other."""
    one, two = first.role, second.role
    plain = first.complete and second.complete and not first.pieces and not second.pieces
    if one is two or not plain or ASTRAY in (one.origin, two.origin):
        return
    if None not in (one.kind, two.kind) and one.kind != two.kind:
        return
    one.kind = one.kind or two.kind
    if one.origin is None:
        one.origin = two.origin
    elif two.origin not in (None, one.origin):
        one.origin = ASTRAY  # rows were added to columns
    two.same = one


def _knowledge(axis: Axis) -> tuple[bool, bool, bool]:
    """How much is known of an axis, to be compared: where it lies in the input, of what kind it is, not led astray."""
    factors = list(axis)
    for factor in axis:
        factors.extend(inner for piece in factor.pieces for inner in piece)
    origins = [factor.role.origin for factor in factors]
    known = any(origin not in (None, ASTRAY) for origin in origins)
    return known and ASTRAY not in origins, kind_of(axis) is not None, ASTRAY not in origins


def slice_axis(axis: Axis, places: slice, size: int) -> Axis:
    """A part of an axis of `size` values. What was only padding may go; each second place is a coarser map."""
    start, stop, step = places.indices(size)
    left = len(range(start, stop, step))
    if left == size and step > 0:
        return axis
    factor = axis[0] if len(axis) == 1 else None
    if factor is None or left == 1:
        if left == 1:
            return ()
        return make_axis(left, kind_of(axis))
    # A class token cut off leaves the other pieces; cut-off padding leaves the whole; all else is no map of the input.
    if factor.pieces and step == 1:
        return _slice_pieces(factor, start, stop)
    lost = size - left
    if step == 1 and factor.complete and lost <= factor.padding:
        return (replace(factor, size=left, whole=left, padding=factor.padding - lost),)
    coarser = 1 < step < size and start < step and stop > size - step
    if coarser:
        return resize_axis(axis, left)
    return make_axis(left, factor.role.kind, None if factor.role.kind == CHANNEL else ASTRAY)


def join_axes(axes: Sequence[Axis]) -> Axis:
    """Axes put together by `cat`."""
    size = sum(axis_size(axis) for axis in axes)
    kinds = [kind_of(axis) for axis in axes if axis]
    kind = kinds[0] if kinds else None
    if kind == CHANNEL:
        return make_axis(size, CHANNEL)
    pieces: list[Axis] = []
    for axis in axes:
        joined = len(axis) == 1 and axis[0].pieces
        pieces.extend(joined or [axis])
    # Pieces of which none lies on the input are one axis; else they stay apart, so that a class token can be cut off.
    known = any(factor.role.origin is not None for piece in pieces for factor in piece)
    if not known:
        return make_axis(size, kind)
    return (Factor(Role(kind), size, size, pieces=tuple(pieces)),)


def _slice_pieces(factor: Factor, start: int, stop: int) -> Axis:
    """The pieces between two places; of a piece that is cut itself, no order is known."""
    found: list[Axis] = []
    begin = 0
    for piece in factor.pieces:
        end = begin + axis_size(piece)
        if start <= begin and end <= stop:
            found.append(piece)
        elif begin < stop and start < end:
            found.append(lead_astray(make_axis(min(end, stop) - max(begin, start), kind_of(piece))))
        begin = end
    if len(found) == 1:
        return found[0]
    return join_axes(found)
