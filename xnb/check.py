"""Refusals and warnings: one line that names the rule, one with what came, one that can be pasted."""

import inspect
import traceback
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from math import isfinite
from types import FrameType
from typing import NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

Entry = TypeVar("Entry")
_LONGEST_VALUE = 120  # characters: a line of an error that still fits a terminal
_TRY = "\n  try: "
# In the words of CUDA, of Metal, and of the processor, for which torch has no class of errors.
_NO_MEMORY = ("out of memory", "can't allocate memory")


def shorten_text(text: str, length: int) -> str:
    """Return the text, cut to `length` characters with three dots at its end where it is longer."""
    if len(text) <= length:
        return text
    return text[: length - 3] + "..."


def abbreviate_value(value: object) -> str:
    """Return a short form of a value for an error: tensors, arrays as `float32[8,3,32,32]`, all else as its repr."""
    if not isinstance(value, Tensor | np.ndarray):
        return shorten_text(" ".join(repr(value).split()), _LONGEST_VALUE)
    dtype = str(value.dtype).removeprefix("torch.")
    sizes = ",".join(map(str, value.shape))
    return f"{dtype}[{sizes}]"


def require(ok: bool, rule: str, got: object, hint: str = "", *, error: type[Exception] = ValueError) -> None:
    """Raise `error` unless `ok`. Write `rule` as «who: what must hold», `hint` as a line to paste."""
    if not ok:
        refuse(rule, got, hint, error=error)


def refuse(rule: str, got: object, hint: str = "", *, error: type[Exception] = ValueError) -> NoReturn:
    """Raise `error`, for a branch that is already known to be wrong; `require` is for a condition."""
    raise error(_write_lines(rule, got, hint))


def refuse_again(error: Exception, hint: str) -> NoReturn:
    """Raise a refusal once more, with another line to paste."""
    again = type(error)(f"{str(error).partition(_TRY)[0]}{_TRY}{hint}")
    raise again.with_traceback(error.__traceback__) from None


def is_out_of_memory(error: object) -> bool:
    """Return whether an error says that memory has come to its end, that of Python, of torch or of an accelerator."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _NO_MEMORY)


def raise_again(error: Exception) -> NoReturn:
    """Raise an error that another process met, in the words that it had there."""
    raise error


def _write_lines(rule: str, got: object, hint: str) -> str:
    way_out = f"{_TRY}{hint}" if hint else ""
    return f"{rule}\n  got: {abbreviate_value(got)}{way_out}"


def is_refusal(error: object) -> bool:
    """Whether an error was raised by `refuse`, in its lines."""
    return isinstance(error, Exception) and "\n  got: " in str(error)


class PromiseWarning(UserWarning):
    """A method's promise is not kept here: its numbers do not add up, or say nothing."""


def warn(rule: str, got: object, hint: str = "") -> None:
    """Give a `PromiseWarning` in the three lines of a refusal; it points at the line that called the package."""
    warnings.warn(
        _write_lines(rule, got, hint), PromiseWarning, stacklevel=1 + _count_own_frames(inspect.currentframe())
    )


def _count_own_frames(innermost: FrameType | None) -> int:
    """How many calls of the package are running, type checks around them included."""
    own = 0
    for frame, _ in traceback.walk_stack(innermost):
        package = frame.f_globals.get("__name__", "").split(".")[0]
        if package not in {"xnb", "jaxtyping", "beartype"}:
            break
        own += 1
    return own


def find_entry(table: Mapping[str, Entry], name: str, rule: str) -> Entry:
    """Return the table's entry of that name, or refuse with the names most like it."""
    if name not in table:
        # only here: to compare the names takes longer than a small network's gradient
        similar = get_close_matches(name, table, n=3, cutoff=0.3)
        first = [known for known in table if known][:5]  # among the modules of a model, "" is the model itself
        refuse(rule, name, f"one of {similar or first}")
    return table[name]


def is_finite(x: Tensor) -> bool:
    """Return whether no value is infinite or NaN."""
    # A finite sum shows it in one pass over the tensor. An infinite one does not: finite values may overflow.
    return isfinite(x.detach().sum()) or bool(x.isfinite().all())
