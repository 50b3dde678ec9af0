"""One call of a torch function on tensors that came from the input, and what a pass under rules knows of tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from xnb.access.marks import TensorTable

Place = tuple[str, nn.Module | None]  # a function by its name, and the module that calls it


@dataclass(slots=True)
class TensorMark:
    """What one pass under rules knows of a tensor that it met.

    The pass marks what a function returns (`traced`, `made_by`), what should have been written into (`overwritten`)
    and what a function with weights returned whose rule waits (`pending`, `settled`). Rules mark `positive` and `gate`.

    Attributes:
        traced: the tensor came from the input, not from weights and constants alone.
        made_by: its `grad_fn` when it was last returned; with another one it was made where nothing can be seen.
        overwritten: the function that should have written into it in place and did not: nothing may read it any more.
        positive: it is known to have no negative value.
        gate: its values are weights of a signal, as those of a sigmoid that multiplies one.
        pending: the call that made it, if its rule waits for what comes next, as a batch norm may be folded in.
        settled: what the rule of `pending` returned when something else came next, the same for every later use.
    """

    traced: bool = False
    made_by: object = None
    overwritten: "Place | None" = None
    positive: bool = False
    gate: bool = False
    pending: "Call | None" = None
    settled: Tensor | None = None


class Marks(TensorTable[TensorMark]):
    """Marks of all tensors of one pass; a tensor that was never met has an empty one."""

    def find(self, tensor: object) -> TensorMark:
        """The mark of a tensor, to be read."""
        return self.get(tensor) or NO_MARK

    def find_or_add(self, tensor: Tensor) -> TensorMark:
        """The mark of a tensor, to be written."""
        return self.get(tensor) or self.put(tensor, TensorMark())


NO_MARK = TensorMark()


@dataclass(frozen=True)
class Call:
    """One call of a torch function on tensors that came from the input.

    Attributes:
        known: its value, where it has been computed already.
        summed: its value on the graph, as a sum over what `count_inputs_as` made of its first argument.
        marks: what the pass that it belongs to knows of tensors.
    """

    name: str
    function: Callable
    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    known: Tensor | None = None
    summed: Tensor | None = None
    marks: Marks = field(default_factory=Marks, repr=False)

    def value(self) -> Any:
        """What the call returns, without a graph."""
        if self.known is not None:
            return self.known
        with torch.no_grad():
            return self.run()

    def run(self, *args: object) -> Any:
        """Run the function on its arguments, the first ones replaced by `args`; with a graph where one is wanted."""
        return self.function(*args, *self.args[len(args) :], **self.kwargs)

    def traced(self, value: object) -> bool:
        """Whether a value came from the input, rather than from weights and constants."""
        return self.marks.find(value).traced

    def is_positive(self, value: Tensor) -> bool:
        """Whether a value is known to have no negative entry; False says nothing."""
        return self.marks.find(value).positive

    def mark_positive(self, value: Tensor) -> None:
        """Say that a value has no negative entry, so that no one needs to look."""
        self.marks.find_or_add(value).positive = True

    def is_gate(self, value: object) -> bool:
        """Whether the values of a tensor are weights of a signal."""
        return self.marks.find(value).gate

    def mark_gate(self, value: Tensor) -> None:
        """Say that a value holds weights of a signal: a product with one hands nothing to it."""
        self.marks.find_or_add(value).gate = True

    def signals(self) -> list[Tensor]:
        """Those of the arguments that came from the input."""
        return [tensor for tensor in list_tensors((*self.args, *self.kwargs.values())) if self.traced(tensor)]

    def of_signals(self) -> "Call":
        """The same call as one of its signals alone, with all that is constant bound in it."""
        # einsum also takes its tensors as one list.
        nested = self.name == "einsum" and isinstance(self.args[1], list | tuple)
        args = (self.args[0], *self.args[1]) if nested else self.args
        # Only what came from the input stays an argument; the rest is a constant of the new function.
        places = [place for place, value in enumerate(args) if self.traced(value)]

        def run(*signals: Tensor) -> Any:
            filled = list(args)
            for place, signal in zip(places, signals, strict=True):
                filled[place] = signal
            return self.function(*filled, **self.kwargs)

        return replace(self, function=run, args=tuple(args[place] for place in places), kwargs={})

    def pending(self, value: Tensor) -> "Call | None":
        """The call that made a value, if its rule still waits for what comes next."""
        return self.marks.find(value).pending


Rule = Callable[[Call], Any]  # the call's value, on whatever graph the rule wants backward to follow
Rules = Mapping[str, Rule]  # by function name, without the underscore of an in-place form


def keep_gradient(call: Call) -> Any:
    """The function as it is, with its own gradient."""
    return call.run()


def list_tensors(values: object) -> list[Tensor]:
    """All tensors in a value, also in nested lists and tuples."""
    if isinstance(values, Tensor):
        return [values]
    tensors: list[Tensor] = []
    for value in values if isinstance(values, list | tuple) else ():
        tensors.extend([value] if isinstance(value, Tensor) else list_tensors(value))
    return tensors
