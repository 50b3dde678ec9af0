"""Functions that move, cut, merge and put together axes, or go value by value: what stands where afterwards."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from torch import Tensor

from xnb.access.layout.axes import (
    CHANNEL,
    Axis,
    join_axes,
    kind_of,
    lead_astray,
    make_axes,
    make_axis,
    regroup_axes,
    resize_axis,
    roll_axis,
    slice_axis,
    unite_axes,
)

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)  # sizes that tell the axes of a trial tensor apart


class Call(NamedTuple):
    """One call of a function of torch.

    Attributes:
        out: what the function returned, a tensor.
        tensors: all that went in.
        axes_in: what their axes stand for; None of weights and constants, which do not come from the input.
    """

    function: Callable[..., Any]
    args: tuple
    kwargs: Mapping[str, Any]
    out: Tensor
    tensors: list[Tensor]
    axes_in: list[list[Axis] | None]

    @property
    def first(self) -> Tensor:
        """The tensor that the function is about."""
        return self.tensors[0]

    @property
    def axes(self) -> list[Axis]:
        """The axes of the first tensor."""
        return self.axes_at(0)

    def axes_at(self, number: int) -> list[Axis]:
        """The axes of one of the tensors."""
        known = self.axes_in[number]
        if known is None:
            return make_axes(self.tensors[number].shape)
        return known

    def knob(self, position: int, name: str, default: object = None) -> Any:
        """An argument by its position or its name."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


def find_tensors(values: Iterable[object]) -> list[Tensor]:
    """The tensors among some arguments, those in lists too."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(find_tensors(value))
    return found


def spread_values(call: Call) -> list[Axis]:
    """Value by value: axes are aligned from the last on, and what is added to each other is the same."""
    shape = tuple(call.out.shape)
    if len(call.tensors) == 1 and call.first.shape == shape:
        return call.axes
    found: list[Axis | None] = [None] * len(shape)
    for tensor, axes in zip(call.tensors, call.axes_in, strict=True):
        # A tensor that is unknown, or grew on the way, shows nothing.
        if axes is None or not _broadcasts_to(tensor.shape, shape):
            continue
        lacking = len(shape) - tensor.ndim
        for place, axis in enumerate(axes, lacking):
            known = found[place]
            if axis:
                found[place] = axis if known is None else unite_axes(axis, known)
    return [make_axis(size) if axis is None else axis for size, axis in zip(shape, found, strict=True)]


def _broadcasts_to(sizes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether torch broadcasts a tensor of these sizes to that shape."""
    if sizes == shape:
        return True
    if len(sizes) > len(shape):
        return False
    last_sizes = shape[len(shape) - len(sizes) :]
    return all(size in (1, wanted) for size, wanted in zip(sizes, last_sizes, strict=True))


def move_axes(call: Call) -> list[Axis]:
    """Axes change places: a trial without data shows how."""
    trial = call.first.new_empty(PRIMES[: call.first.ndim], device="meta")
    moved = call.function(trial, *call.args[1:], **call.kwargs)
    axes = call.axes
    return [axes[PRIMES.index(size)] for size in moved.shape]


def regroup(call: Call) -> list[Axis]:
    """Axes are cut and merged, in the order in which values lie in memory."""
    return regroup_axes(call.axes, call.out.shape)


def resize_places(call: Call) -> list[Axis]:
    """Each axis whose size changes is the same thing in other numbers."""
    axes = call.axes
    padded = "pad" in call.function.__name__
    resized = []
    for axis, before, after in zip(axes, call.first.shape, call.out.shape, strict=True):
        resized.append(axis if before == after else resize_axis(axis, after, padded=padded))
    return resized


def disorder_values(call: Call) -> list[Axis]:
    """Values along some axes change their order; where none are named, along all."""
    axes = list(call.axes)
    dims = call.knob(1, "dims", call.kwargs.get("dim"))
    if call.function.__name__ in ("fliplr", "flipud"):
        dims = 1 if call.function.__name__ == "fliplr" else 0
    for dim in _list_axes(dims, len(axes)):
        axes[dim] = lead_astray(resize_axis(axes[dim], call.out.shape[dim]))
    return axes


def roll_values(call: Call) -> list[Axis]:
    """Values along some axes move on in a circle, as in windows that are shifted and shifted back."""
    axes = list(call.axes)
    shifts = call.knob(1, "shifts")
    dims = _list_axes(call.knob(2, "dims"), len(axes))
    for dim, shift in zip(dims, [shifts] if isinstance(shifts, int) else shifts, strict=True):
        axes[dim] = roll_axis(axes[dim], shift)
    return axes


def _list_axes(dims: Any, ndim: int) -> list[int]:
    if dims is None:
        return list(range(ndim))
    return [dim % ndim for dim in ([dims] if isinstance(dims, int) else dims)]


def join_tensors(call: Call) -> list[Axis]:
    """`cat`: one axis is put together of those of all parts."""
    parts = list(call.knob(0, "tensors"))
    dim = call.knob(1, "dim", call.kwargs.get("axis", 0))
    of_parts = [call.axes_at(i) for i in range(len(parts))]
    axes = []
    for i in range(call.out.ndim):
        along = [part[i] for part in of_parts]
        if i == dim % call.out.ndim:
            axes.append(join_axes(_size_axes(along, parts, i)))
            continue
        # Beside the joined axis, all parts have the same axes, so that each adds what it knows.
        axis = along[0]
        for other in along[1:]:
            axis = unite_axes(axis, other) if axis and other else axis or other
        axes.append(axis)
    return axes


def _size_axes(along: list[Axis], parts: list[Tensor], i: int) -> list[Axis]:
    """The axes to join, without those of parts that are empty."""
    return [axis for axis, part in zip(along, parts, strict=True) if part.shape[i]]


def stack_tensors(call: Call) -> list[Axis]:
    """`stack`: a new axis, along which the tensors lie."""
    dim = call.knob(1, "dim", 0) % call.out.ndim
    axes = list(call.axes)
    axes.insert(dim, make_axis(len(call.tensors)))
    return axes


def take_part(call: Call) -> list[Axis]:
    """One of several parts, as `chunk` and `unbind` return."""
    axes = list(call.axes)
    position = 1 if call.function.__name__ == "unbind" else 2
    dim = call.knob(position, "dim", 0) % len(axes)
    if call.out.ndim < len(axes):
        del axes[dim]
        return axes
    size = call.out.shape[dim]
    if size != call.first.shape[dim]:
        axes[dim] = slice_axis(axes[dim], slice(0, size), call.first.shape[dim])
        if kind_of(axes[dim]) != CHANNEL:
            axes[dim] = lead_astray(axes[dim])
    return axes


def take_index(call: Call) -> list[Axis]:
    """`x[...]`: a number takes an axis away, a slice a part of it, None puts one of length 1 in."""
    picked = call.args[1]
    index = list(picked) if isinstance(picked, tuple) else [picked]
    axes = call.axes
    # A tensor of indices may pick values in any order, and a bool is one of no axes: then nothing is known.
    if any(isinstance(part, Tensor | list | bool) for part in index):
        return make_axes(call.out.shape)
    named = sum(part is not None and part is not Ellipsis for part in index)
    if Ellipsis not in index:
        index.append(Ellipsis)
    left = iter(zip(axes, call.first.shape, strict=True))  # axes, with their sizes, that no part of the index has met
    found: list[Axis] = []
    for part in index:
        if part is None:
            found.append(())
        elif part is Ellipsis:
            found.extend(axis for axis, _ in islice(left, len(axes) - named))
        else:
            axis, size = next(left)
            if isinstance(part, slice):
                found.append(slice_axis(axis, part, size))
    return found
