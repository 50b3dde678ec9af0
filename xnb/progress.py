"""A progress bar for what turns out to be slow, and a line beforehand for what is known to be."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import isinf
from time import monotonic
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
# Seconds without news before a bar appears. Stored outputs must not depend on how fast a machine is: whatever
# executes notebooks to store them sets XNB_PATIENCE=inf, and then nothing is announced either.
PATIENCE_SECONDS = float(os.environ.get("XNB_PATIENCE", "2"))
MANY_PASSES = 1_000  # of one input: more are announced
_BARS: list[tqdm] = []  # the bar on the screen, if there is one
_LOOPS: list[set[str]] = []  # for each loop that shows its progress, what was announced within it
_HIDDEN: ContextVar[bool] = ContextVar("hidden", default=False)


@dataclass
class _Call:
    """A call that the user waits for.

    Attributes:
        name: what bars and announcements call it.
        passes: of each input, planned so far.
        announced: whether the user was told that they are many.
    """

    name: str
    passes: int = 0
    announced: bool = False


_CALL: ContextVar[_Call | None] = ContextVar("call", default=None)


@contextmanager
def name_call(name: str) -> Iterator[None]:
    """Give bars and announcements of the block a name: that of a method."""
    token = _CALL.set(_Call(name))
    try:
        yield
    finally:
        _CALL.reset(token)


def show_progress(
    items: Iterable[Item], total: int, unit: str, describe: Callable[[Item], str] | None = None
) -> Iterator[Item]:
    """Yield the items, with a bar as soon as they have taken longer than `PATIENCE_SECONDS`.

    One bar is enough: while one is shown, loops inside it make none.

    Args:
        describe: what the bar calls the item that is worked on; without it, the bar has the name of the call.
    """
    start = monotonic()
    bar = None
    call = _CALL.get()
    announced: set[str] = set()
    _LOOPS.append(announced)
    try:
        for done, item in enumerate(items):
            allowed = bar is None and not _BARS and not _HIDDEN.get()
            if allowed and monotonic() - start > PATIENCE_SECONDS:
                bar = tqdm(total=total, initial=done, unit=unit, leave=False, desc=call.name if call else None)
                _BARS.append(bar)
            if bar is not None and describe is not None:
                bar.set_description(describe(item))
            yield item
            if bar is not None:
                bar.update()
    finally:
        # Also where the loop was left by `break` or an error. Loops of generators may end in another order than they
        # began.
        _LOOPS[:] = [loop for loop in _LOOPS if loop is not announced]
        if bar is not None:
            _BARS.remove(bar)
            bar.close()


def announce_passes(passes: int, inputs: int, hint: str = "") -> None:
    """Say in one line on stderr, before they run, that a call runs each input more than `MANY_PASSES` times.

    A call says so once; what many calls in one loop would say, as those of a comparison, is announced once as well.

    Args:
        passes: of each input.
        hint: knobs that need fewer, as they are written in a call.
    """
    call = _CALL.get() or _Call("xnb")
    if passes <= MANY_PASSES or call.announced:
        return
    call.announced = True
    who = "1 input" if inputs == 1 else f"each of {inputs:,} inputs"
    line = f"{call.name}: {passes:,} passes of {who}" + (f"; try {hint}" if hint else "")
    # The outermost loop remembers: what its rounds say alike is said once.
    announced = _LOOPS[0] if _LOOPS else set()
    shows_nothing = _HIDDEN.get() or isinf(PATIENCE_SECONDS)
    if line in announced or shows_nothing:
        return
    announced.add(line)
    tqdm.write(line, file=sys.stderr)


def add_planned_passes(passes: int, inputs: int) -> None:
    """Add passes that are about to run to those of the named call, and announce them where they become many."""
    call = _CALL.get()
    if call is not None:
        call.passes += passes
        announce_passes(call.passes, inputs)


def is_quick(seconds: float) -> bool:
    """Whether what takes so long needs no word beforehand; always, where nothing is to be shown."""
    return _HIDDEN.get() or seconds <= PATIENCE_SECONDS


@contextmanager
def hide_progress() -> Iterator[None]:
    """Show no bar and no announcement within the block: for a widget that says in another way that it is working."""
    token = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(token)
