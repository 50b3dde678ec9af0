"""Claims with the bar that decides them, written in a file before the run, and the word that a result earns."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from xnb.check import require
from xnb.comparison.inference import Estimate, adjust_holm, estimate_mean

Side = Literal["above", "below"]
_LEVEL = 0.05  # of the corrected p-values: what is not below it is open


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

    name: str  # of its table in the file
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
    return Claim(name=name, **(entries | {"bars": bars}))


def _check_entries(kind: type, rule: str, entries: dict[str, Any]) -> None:
    names = {field.name for field in fields(kind)} - {"name"}  # which is that of the table
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


@dataclass(frozen=True)
class Verdicts:
    """Rows that were judged together: a table, and where printed a line for each.

    A line is `claim-05-heads · best to worst: 1.96 [1.69, 2.24] OPEN, bar 2, adjusted p 0.746, could have seen 0.38
    from it`; what could have been seen stands in open ones. `print(verdicts)` has two decimals, `f"{verdicts:.3f}"`
    three.

    Attributes:
        table: `claim`, `row`; `mean`, `low`, `high` of `estimate_mean`; `p_value`, of the statement that the mean lies
            on the bar, and `p_holm`, the same corrected over all rows (`adjust_holm`); `detectable`, the distance
            from the bar that such data would mostly show; `bar`; and `verdict`, OPEN unless `p_holm` is below 0.05,
            else as `judge_estimate`. Intervals are not corrected: one that leaves out the bar may be OPEN.
    """

    table: pd.DataFrame

    def __str__(self) -> str:
        return format(self, ".2f")

    def __format__(self, size: str) -> str:
        return "\n".join(_write_verdict(row, size or ".2f") for row in self.table.to_dict("records"))


def _write_verdict(row: Mapping[Any, Any], size: str) -> str:
    estimate = Estimate(*[row[field] for field in Estimate._fields])
    line = f"{row['claim']} · {row['row']}: {estimate:{size}} {row['verdict']}"
    line += f", bar {row['bar']:g}, adjusted p {row['p_holm']:.3f}"
    seen = f", could have seen {row['detectable']:{size.lstrip('+')}} from it"
    return line + seen * (row["verdict"] == Verdict.OPEN)


def judge_rows(claim: Claim, rows: Mapping[str, ArrayLike]) -> Verdicts:
    """Return what each row of a claim says of it, with p-values that hold for all of these rows together.

    It misleads where one claim is judged in several calls: each corrects over its own rows alone. `judge_claims` takes
    rows of several claims.

    Args:
        rows: by name, values as `estimate_mean` takes them, mostly `(trainings, inputs)`.

    Raises:
        ValueError: no row, or values that `estimate_mean` refuses.
    """
    rule = "judge_rows: a claim is judged by one row or more"
    require(len(rows) > 0, rule, rows, 'rows = {"all inputs": np.random.rand(8, 20)}  # trainings, inputs')
    return judge_claims({claim: rows})


def judge_claims(rows: Mapping[Claim, Mapping[str, ArrayLike]]) -> Verdicts:
    """Return what `judge_rows` does, of rows of several claims, with p-values that hold for all of them together.

    Args:
        rows: by claim and name, values as `estimate_mean` takes them.

    Raises:
        ValueError: a claim without a row, no claim, or values that `estimate_mean` refuses.
    """
    counts = {claim.name: len(of_claim) for claim, of_claim in rows.items()}
    rule = "judge_claims: each claim is judged by one row or more"
    hint = 'rows = {claim: {"all inputs": np.random.rand(8, 20)}}  # trainings, inputs'
    require(min(counts.values(), default=0) > 0, rule, counts, hint)
    found = [_judge_row(claim, row, values) for claim, of_claim in rows.items() for row, values in of_claim.items()]
    table = pd.DataFrame([numbers for numbers, _ in found])
    table["p_holm"] = adjust_holm(table["p_value"])
    is_clear = (table["p_holm"] < _LEVEL).tolist()
    words = [word if clear else Verdict.OPEN for (_, word), clear in zip(found, is_clear, strict=True)]
    table["verdict"] = pd.Series(words, dtype=object)  # as text they would no longer be verdicts
    return Verdicts(table)


def _judge_row(claim: Claim, row: str, values: ArrayLike) -> tuple[dict[str, Any], Verdict]:
    """Return one row of the table, and its verdict by the interval alone."""
    values = np.asarray(values, dtype=float)
    estimate = estimate_mean(values)
    # What is tested, and what could have been seen, is the distance from the bar.
    beside = estimate_mean(values - claim.bar)
    numbers = estimate._asdict() | {"p_value": beside.p_value, "detectable": beside.detectable}
    return {"claim": claim.name, "row": row} | numbers | {"bar": claim.bar}, judge_estimate(claim, estimate)


def judge_search(counterexamples: int) -> Verdict:
    """Return what a search among many cases allows: one counterexample refutes, none proves nothing."""
    return Verdict.REFUTED if counterexamples else Verdict.NOT_REFUTED


def judge_identity(error: float, tolerance: float) -> Verdict:
    """Return THEOREM where the two sides of a formula agree up to rounding, REFUTED where they do not."""
    return Verdict.THEOREM if error <= tolerance else Verdict.REFUTED
