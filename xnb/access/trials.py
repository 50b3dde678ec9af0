"""Trials: a method runs to its end, but of the many changes of an input only the first are run.

So a method that asks for thousands of passes shows in a few what it refuses, and what it would cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LIMIT: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def run_first_changes(limit: int) -> Iterator[None]:
    """Within the block, some `limit` changes of each input are run and stand for all; passes are counted for all.

    Every result is then made up from a few passes: good for what a method refuses and costs, for nothing else.
    """
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def count_run_changes(changes: int) -> int:
    """How many of so many changes of each input are run: all of them, but in a trial."""
    limit = _LIMIT.get()
    if limit is None:
        return changes
    return min(changes, limit)


def is_trial() -> bool:
    """Whether a block of `run_first_changes` is running."""
    return _LIMIT.get() is not None
