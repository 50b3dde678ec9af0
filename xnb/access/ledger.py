"""What a call cost: passes of the model, and facts that a method leaves about its result; only if someone counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Passes:
    """Inputs run forward and backward, and what a method says of its own result (`standard_error`)."""

    forward: int = 0
    backward: int = 0
    notes: dict[str, object] = field(default_factory=dict)


_PASSES: ContextVar[Passes | None] = ContextVar("passes", default=None)


@contextmanager
def count_passes() -> Iterator[Passes]:
    """Count the passes of the block; a block inside another counts for itself alone."""
    passes = Passes()
    token = _PASSES.set(passes)
    try:
        yield passes
    finally:
        _PASSES.reset(token)


@contextmanager
def count_inner_passes() -> Iterator[Passes]:
    """Count the passes of the block; whoever counts outside gets them and its notes all the same."""
    try:
        with count_passes() as passes:
            yield passes
    finally:
        add_passes(forward=passes.forward, backward=passes.backward)
        leave_note(**passes.notes)


@contextmanager
def collect_notes() -> Iterator[dict[str, object]]:
    """Collect the notes of the block; whoever counts outside gets its passes and its notes all the same."""
    with count_inner_passes() as passes:
        yield passes.notes


def add_passes(*, forward: int = 0, backward: int = 0) -> None:
    """Add inputs that were run to the count of the innermost `count_passes`, if there is one."""
    passes = _PASSES.get()
    if passes is not None:
        passes.forward += forward
        passes.backward += backward


def leave_note(**facts: object) -> None:
    """Leave facts about the running method with the innermost `count_passes`, if there is one."""
    passes = _PASSES.get()
    if passes is not None:
        passes.notes.update(facts)
