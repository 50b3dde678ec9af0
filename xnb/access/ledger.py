"""What a call cost, and what several calls may share; both only while someone asked for it."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")


@dataclass
class Passes:
    """Inputs run forward and backward, and what a method has to say of its own result (`standard_error`)."""

    forward: int = 0
    backward: int = 0
    notes: dict[str, object] = field(default_factory=dict)


_PASSES: ContextVar[Passes | None] = ContextVar("passes", default=None)
_MEMORY: ContextVar[dict | None] = ContextVar("memory", default=None)


@contextmanager
def counting() -> Iterator[Passes]:
    """Count the passes of the block; a block inside another counts for itself alone."""
    passes = Passes()
    token = _PASSES.set(passes)
    try:
        yield passes
    finally:
        _PASSES.reset(token)


def count(*, forward: int = 0, backward: int = 0) -> None:
    passes = _PASSES.get()
    if passes is not None:
        passes.forward += forward
        passes.backward += backward


def note(**facts: object) -> None:
    """Leave a fact about the method that is running with whoever is counting."""
    passes = _PASSES.get()
    if passes is not None:
        passes.notes.update(facts)


@contextmanager
def remembering() -> Iterator[None]:
    """Within the block, the same question about the same model and tensors is answered once."""
    token = _MEMORY.set({})
    try:
        yield
    finally:
        _MEMORY.reset(token)


def remembered(question: tuple, answer: Callable[[], Result]) -> Result:
    """`answer()`, or what it was when the same question was asked before in the block."""
    memory = _MEMORY.get()
    if memory is None:
        return answer()
    if (key := _key(question)) not in memory:
        remember(question, answer())
    return memory[key][1]


def remember(question: tuple, answer: object) -> None:
    """Leave an answer for whoever asks later in the block."""
    memory = _MEMORY.get()
    if memory is not None:
        # the question stays too: while its tensors live, their ids are theirs alone
        memory[_key(question)] = (question, answer)


def _key(question: tuple) -> tuple[Hashable, ...]:
    return tuple(part if isinstance(part, str | int | float | tuple) else id(part) for part in question)
