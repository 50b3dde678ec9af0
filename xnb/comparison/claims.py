"""Claims with the bar that decides them, written in a file before the run, and the word that a result earns."""

import tomllib
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args

from xnb.check import require
from xnb.comparison.inference import Estimate

Side = Literal["above", "below"]


class Verdict(StrEnum):
    """What may be said of a claim after a run."""

    THEOREM = "THEOREM"  # true by a formula; the run checks the code, not the claim
    SUPPORTED = "SUPPORTED"  # the whole interval lies on the claim's side of the bar
    REFUTED = "REFUTED"  # the whole interval lies on the other side, or a counterexample was found
    NOT_REFUTED = "NOT REFUTED"  # a search found no counterexample, which proves nothing
    OPEN = "OPEN"  # the interval holds the bar: see what it could have shown, `Estimate.detectable`


@dataclass(frozen=True)
class Bar:
    """A number that decides a claim, and since when."""

    since: date
    value: float
    why: str


@dataclass(frozen=True)
class Claim:
    """A sentence that a run may refute, as its authors wrote it."""

    sentence: str  # quoted
    source: str
    setup: str  # what they measured on what
    differs: str  # what is otherwise here
    side: Side  # of the bar on which the claim says the number lies
    bars: tuple[Bar, ...]  # the last one holds; earlier ones stay to be seen

    @property
    def bar(self) -> float:
        """The number that decides now."""
        return self.bars[-1].value


def read_claims(path: str | Path) -> dict[str, Claim]:
    """Return the claims of a TOML file by name.

    A claim is a table `[name]` with `sentence`, `source`, `setup`, `differs`, `side` ("above" or "below" its bar) and
    `bars`, a list of `{since = 2026-11-29, value = 0.5, why = "..."}` in rising order of time. Who moves a bar appends
    one: the first shows what was expected before anything ran.

    Raises:
        ValueError: a claim lacks an entry, has an unknown one, or bars that are not in order.
    """
    with Path(path).open("rb") as file:
        tables = tomllib.load(file)
    return {name: _read_claim(name, entries) for name, entries in tables.items()}


def _read_claim(name: str, entries: dict[str, Any]) -> Claim:
    _check_entries(Claim, f"claims: {name} must have these entries", entries)
    rule = f"claims: {name} must name the side of its bar"
    require(entries["side"] in get_args(Side), rule, entries["side"], "write side = 'above' or 'below' into the file")
    for bar in entries["bars"]:
        _check_entries(Bar, f"claims: each bar of {name} must have these entries", bar)
    bars = tuple(Bar(**bar) for bar in entries["bars"])
    # The first bar is what was expected before anything ran: it must stay the first.
    days = [bar.since for bar in bars]
    in_order = bool(days) and days == sorted(days)
    rule = f"claims: {name} needs bars in rising order of `since`"
    require(in_order, rule, [str(day) for day in days], "put the bars of the file in order")
    return Claim(**(entries | {"bars": bars}))


def _check_entries(kind: type, rule: str, entries: dict[str, Any]) -> None:
    names = {field.name for field in fields(kind)}
    require(entries.keys() == names, rule, sorted(entries), f"write {sorted(names)} into the file")


def judge_estimate(claim: Claim, estimate: Estimate) -> Verdict:
    """Return SUPPORTED or REFUTED where the whole interval lies on one side of the bar, else OPEN."""
    low, high = estimate.low - claim.bar, estimate.high - claim.bar
    if claim.side == "below":
        low, high = -high, -low
    if low > 0:
        return Verdict.SUPPORTED
    if high < 0:
        return Verdict.REFUTED
    return Verdict.OPEN


def judge_search(counterexamples: int) -> Verdict:
    """Return what a search among many cases allows: one counterexample refutes, none proves nothing."""
    return Verdict.REFUTED if counterexamples else Verdict.NOT_REFUTED


def judge_identity(error: float, tolerance: float) -> Verdict:
    """Return THEOREM where the two sides of a formula agree up to rounding, REFUTED where they do not."""
    return Verdict.THEOREM if error <= tolerance else Verdict.REFUTED
