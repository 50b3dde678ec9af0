"""A progress bar for what turns out to be slow."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
# Seconds without news that a reader bears. Stored outputs must not depend on how fast a machine is: who executes
# notebooks to store them sets XNB_PATIENCE=inf.
PATIENCE = float(os.environ.get("XNB_PATIENCE", "2"))
_shown: list[tqdm] = []
_silent: ContextVar[bool] = ContextVar("silent", default=False)


def watched(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """The items, with a bar from the moment that they take longer than two seconds; none is made before.

    One bar is enough: while one is shown, what runs inside makes none.
    """
    start, bar = monotonic(), None
    try:
        for done, item in enumerate(items):
            if bar is None and not _shown and not _silent.get() and monotonic() - start > PATIENCE:
                bar = tqdm(total=total, initial=done, unit=unit, leave=False)
                _shown.append(bar)
            yield item
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            _shown.remove(bar)
            bar.close()


@contextmanager
def silently() -> Iterator[None]:
    """No bar within the block: where a widget has another way to say that it is working."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)
