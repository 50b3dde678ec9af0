"""A progress bar for what turns out to be slow."""

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
PATIENCE = 2.0  # seconds without news that a reader of a notebook bears


def watched(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """The items, with a bar from the moment that they take longer than two seconds; none is made before."""
    start, bar = monotonic(), None
    try:
        for done, item in enumerate(items):
            if bar is None and monotonic() - start > PATIENCE:
                bar = tqdm(total=total, initial=done, unit=unit, leave=False)
            yield item
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            bar.close()
