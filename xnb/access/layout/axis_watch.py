"""Watch what the functions of a model do to the axes of its tensors: which are channels, which lie along the input's.

What no rule follows is unknown, never guessed.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

from torch import Tensor
from torch.overrides import TorchFunctionMode

from xnb.access.layout.axes import BATCH, Axis, axis_size, make_axes, make_axis
from xnb.access.layout.axis_moves import Call, find_tensors
from xnb.access.layout.axis_rules import follow_axes, runs_by_row


class SeenAxes(NamedTuple):
    """What the axes of a layer's output stand for, and those of the input.

    Attributes:
        by_row: whether every function before treated each input by itself: what was seen of one is true of a batch.
    """

    layer: list[Axis]
    input: list[Axis]
    by_row: bool


class AxisWatch(TorchFunctionMode):
    """Follows the axes of an input through every function of torch that runs within the block.

    Of several passes, a block each, the first is watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._input_axes: list[Axis] = []
        self._axes: dict[int, tuple[ReferenceType[Tensor], list[Axis]]] = {}
        self._done = False
        self._by_row = True

    def __exit__(self, *error: Any) -> None:
        """Watch no more."""
        self._done = True
        super().__exit__(*error)

    def start(self, x: Tensor) -> Tensor:
        """Follow the axes of `x`, one row an input, which is returned."""
        if not self._done:
            self._input_axes = [make_axis(len(x), BATCH)]
            for origin, size in enumerate(x.shape[1:], 1):
                self._input_axes.append(make_axis(size, origin=origin))
            self._keep(x, self._input_axes)
        return x

    def read_axes(self, output: Tensor) -> SeenAxes:
        """What is known, after the first pass, of the axes of a layer's output."""
        axes = self.find_axes(output) or make_axes(output.shape)
        return SeenAxes(axes, self._input_axes, self._by_row)

    def find_axes(self, tensor: object) -> list[Axis] | None:
        """What the axes of a tensor stand for; None where it does not come from the input, and for what is none."""
        known = self._axes.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        return None

    def _keep(self, tensor: Tensor, axes: list[Axis]) -> None:
        self._axes[id(tensor)] = (ref(tensor), axes)  # another tensor may get the number of one that is gone

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function, and follow the axes of what went in."""
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        if self._done:
            return out
        if out is None:  # a write, as `x[0] = 1`, which no rule follows
            self._by_row = False
        results = out if isinstance(out, list | tuple) else [out]
        for result in results:
            if isinstance(result, Tensor):
                self._follow(function, args, kwargs, result)
        return out

    def _follow(self, function: Callable[..., Any], args: tuple, kwargs: Mapping[str, Any], out: Tensor) -> None:
        """Note what the axes of `out` stand for, if any tensor of the call came from the input and a rule fits."""
        if "input" in kwargs:  # rules read the tensor as the first argument
            args = (kwargs["input"], *args)
            kwargs = {name: value for name, value in kwargs.items() if name != "input"}
        tensors = find_tensors([*args, *kwargs.values()])
        axes_in = [self.find_axes(tensor) for tensor in tensors]
        if not any(axes_in):
            return
        name = _read_name(function)
        self._by_row = self._by_row and runs_by_row(name)
        call = Call(function, args, kwargs, out, tensors, axes_in)
        try:
            axes = follow_axes(name, call)
        except (ValueError, TypeError, IndexError, RuntimeError, AttributeError):
            return  # called in a way that no rule knows: its axes stay unknown, and the model runs on
        if any(axes is known for known in axes_in) or [axis_size(axis) for axis in axes] == list(out.shape):
            self._keep(out, axes)


class KnownAxes(nullcontext):
    """Stands where a watch would, of a layer whose axes one has seen: nothing is watched again."""

    def __init__(self, seen: SeenAxes) -> None:
        super().__init__()
        self._seen = seen

    def start(self, x: Tensor) -> Tensor:
        """The input itself."""
        return x

    def read_axes(self, output: Tensor) -> SeenAxes:
        """What was seen, where the output has the sizes that it had; else nothing is known."""
        sizes = [axis_size(axis) for axis in self._seen.layer[1:]]  # without the batch, of which another may run now
        if sizes == list(output.shape[1:]):
            return self._seen
        return SeenAxes(make_axes(output.shape), self._seen.input, by_row=False)


def watch_axes(known: SeenAxes | None = None) -> AxisWatch | KnownAxes:
    """A watch, or what stands for it where the axes are known already."""
    return AxisWatch() if known is None else KnownAxes(known)


def _read_name(function: Callable[..., Any]) -> str:
    """`permute`, `add_`, and of an attribute its own name: `T`."""
    name = getattr(function, "__name__", "")
    return function.__self__.__name__ if name == "__get__" else name  # type: ignore[attr-defined]
