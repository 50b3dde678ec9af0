"""Refusals: one line that names the rule, one with what came, one that can be pasted."""

from collections.abc import Mapping
from difflib import get_close_matches
from math import isfinite
from typing import NoReturn, TypeVar

from torch import Tensor

Entry = TypeVar("Entry")


def describe(value: object) -> str:
    """Short form of a value for an error: tensors as `float32[8,3,32,32]`, everything else as its repr."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}[{','.join(map(str, value.shape))}]"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def require(ok: bool, rule: str, got: object, hint: str = "", *, error: type[Exception] = ValueError) -> None:
    """Raise `error` unless `ok`. Write `rule` as «who: what must hold», `hint` as a line to paste."""
    if not ok:
        refuse(rule, got, hint, error=error)


def refuse(rule: str, got: object, hint: str = "", *, error: type[Exception] = ValueError) -> NoReturn:
    """Raise `error`, for a branch that is already known to be wrong; `require` is for a condition."""
    way_out = f"\n  try: {hint}" if hint else ""
    raise error(f"{rule}\n  got: {describe(got)}{way_out}")


def entry(table: Mapping[str, Entry], name: str, rule: str) -> Entry:
    """The table's entry of that name, or an error with the names most like it."""
    if name not in table:  # only then: to find them takes longer than a small network's gradient
        near = get_close_matches(name, table, n=3, cutoff=0.3) or [known for known in table if known][:5]
        refuse(rule, name, f"one of {near}")
    return table[name]


def finite(x: Tensor) -> bool:
    """Whether no value is infinite or NaN. A finite sum says so in one pass; only a sum may also overflow."""
    return isfinite(x.detach().sum()) or bool(x.isfinite().all())
