"""Which inputs of the caller's batch are running, so that what belongs to an input follows it: a mask, a baseline.

Methods run other batches than the one they were given: chunks of it, inputs repeated under many changes, some inputs
alone. Whoever does so says it by `select_rows`, and whatever has a row an input asks `follow_rows` for its rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from xnb.check import require


@dataclass(frozen=True, eq=False)
class Numbered:
    """Inputs that run, by their numbers in the caller's batch; None stands for all of a batch that nobody selected.

    Attributes:
        numbers: of the inputs, in the order in which they run.
        size: how many inputs the caller's batch has.
    """

    numbers: Int[Tensor, " n"]
    size: int

    def only(self, i: int, times: int = 1) -> "Numbered":
        """The i-th of the inputs, `times` times over."""
        return Numbered(self.numbers[i].repeat(times), self.size)


@dataclass(frozen=True, eq=False)
class Selection:
    """Inputs that run in place of the batch around them; their numbers are worked out if someone asks.

    Attributes:
        rows: which inputs of the batch around it.
        size: how many inputs that batch has.
        repeats: how often the rows run, one whole block after the other.
        outer: the selection that the batch around it is; None is the caller's own batch.
    """

    rows: Tensor | slice
    size: int
    repeats: int
    outer: "Selection | Numbered | None"


_SELECT = "with xnb.access.rows.select_rows(rows, {}):"  # what names the inputs that run
_SELECTED: ContextVar[Selection | Numbered | None] = ContextVar("selected", default=None)


def current_selection() -> Selection | Numbered | None:
    """What runs; None while the caller's own batch does."""
    return _SELECTED.get()


def count_caller_rows() -> int | None:
    """How many inputs the caller's batch has; None while it runs as it is."""
    selection = _SELECTED.get()
    while isinstance(selection, Selection) and selection.outer is not None:
        selection = selection.outer
    return None if selection is None else selection.size


@contextmanager
def select_rows(rows: Tensor | slice, size: int, repeats: int = 1) -> Iterator[None]:
    """Say that, within the block, `x[rows]` runs `repeats` times over, in place of a batch `x` of `size` inputs."""
    with run_as(Selection(rows, size, repeats, _SELECTED.get())):
        yield


@contextmanager
def run_as(selection: Selection | Numbered) -> Iterator[None]:
    """Say that, within the block, these inputs run, whatever was selected before."""
    token = _SELECTED.set(selection)
    try:
        yield
    finally:
        _SELECTED.reset(token)


def number_rows(rows: Tensor | slice, size: int) -> Numbered:
    """Numbers, in the caller's batch, of some inputs of the batch of `size` inputs that runs now."""
    return _count(Selection(rows, size, 1, _SELECTED.get()))


def _count(selection: Selection | Numbered) -> Numbered:
    """Work out the numbers of a selection, from the outermost on."""
    if isinstance(selection, Numbered):
        return selection
    rows = selection.rows if isinstance(selection.rows, slice) else selection.rows.cpu()
    own = torch.arange(selection.size)[rows].repeat(selection.repeats)
    if selection.outer is None:
        return Numbered(own, selection.size)
    outer = _count(selection.outer)
    known = len(outer.numbers)
    rule = "rows: inputs that are not those of the batch around them must be run within `select_rows`"
    require(known == selection.size, rule, f"{selection.size} inputs, not {known}", _SELECT.format(known))
    return Numbered(outer.numbers[own], outer.size)


def follow_rows(values: Tensor, count: int, name: str, hint: str = "") -> Tensor:
    """The rows of `values` that belong to the `count` inputs that run; one row alone serves all.

    Args:
        values: a row for each input of the caller's batch, or a single row.
        name: what the values are, and
        hint: what to try, for the refusal; a knob of that name if omitted.

    Raises:
        ValueError: there is neither one row nor a row an input.
    """
    if len(values) == 1:
        return values
    selection = _SELECTED.get()
    # where nobody selected rows, the caller's own batch runs, in its order
    running = Numbered(torch.arange(count), count) if selection is None else _count(selection)
    rule = f"{name}: must have one row an input ({running.size}), or a single row"
    require(len(values) == running.size, rule, values, hint or f"{name}={name}[:1]")
    known = len(running.numbers)
    rule = f"{name}: the model runs {count} inputs, and {known} are known to run"
    require(known == count, rule, values, _SELECT.format(known))
    if selection is None:
        return values
    return values[running.numbers.to(values.device)]
