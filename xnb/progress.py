"""A progress bar for what turns out to be slow."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
# Seconds without news before a bar appears. Stored outputs must not depend on how fast a machine is: whatever
# executes notebooks to store them sets XNB_PATIENCE=inf.
PATIENCE_SECONDS = float(os.environ.get("XNB_PATIENCE", "2"))
_BARS: list[tqdm] = []  # the bar on the screen, if there is one
_HIDDEN: ContextVar[bool] = ContextVar("hidden", default=False)


def show_progress(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """Yield the items, with a bar as soon as they have taken longer than `PATIENCE_SECONDS`.

    One bar is enough: while one is shown, loops inside it make none.
    """
    start = monotonic()
    bar = None
    try:
        for done, item in enumerate(items):
            allowed = bar is None and not _BARS and not _HIDDEN.get()
            if allowed and monotonic() - start > PATIENCE_SECONDS:
                bar = tqdm(total=total, initial=done, unit=unit, leave=False)
                _BARS.append(bar)
            yield item
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            _BARS.remove(bar)
            bar.close()


@contextmanager
def hide_progress() -> Iterator[None]:
    """Show no bar within the block: for a widget that says in another way that it is working."""
    token = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(token)
