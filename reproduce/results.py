"""Results beside the numbers that they repeat, as JSON that says of which code and data it came."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from reproduce.sources import read_sources
from reproduce.verdicts import Figure, Judgement, Measurement, judge_column
from xnb.check import find_entry, require
from xnb.folders import replace_file

FOLDER = Path(__file__).parent
_DIGITS = 6  # significant ones, of what is stored


def read_published(table: str) -> dict[str, Any]:
    """Return what a paper prints: title, source, columns of values, spreads."""
    tables = tomllib.loads((FOLDER / "published.toml").read_text())
    return find_entry(tables, table, "reproduce: no table of that name in published.toml")


def read_figures(table: str, spreads: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, dict[str, Figure]]:
    """Return the published numbers by column and row.

    Args:
        spreads: by column and row, where they are computed and not printed.
    """
    published = read_published(table)
    printed = spreads or published.get("spreads", {})
    for_all = published.get("spread_of_all", {})
    figures: dict[str, dict[str, Figure]] = {}
    for column, values in published["columns"].items():
        own = printed.get(column, {})
        rest = for_all.get(column, 0.0)
        figures[column] = {}
        for name, value in values.items():
            figures[column][name] = Figure(value, own.get(name, rest))
    return figures


def result_file(table: str) -> Path:
    return FOLDER / f"{table}.json"


def read_result(table: str) -> dict[str, Any]:
    """Return what is committed of a table.

    Raises:
        ValueError: the table was never computed.
    """
    file = result_file(table)
    require(file.is_file(), "reproduce: this table was not computed yet", table, f"make reproduce TABLE={table}")
    return json.loads(file.read_text())


def hash_code(modules: Iterable[str]) -> str:
    """Return the SHA-256 sum of the named files of this folder, one after the other."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        digest.update((FOLDER / name).read_bytes())
    return digest.hexdigest()


def write_result(
    table: str,
    measured: Mapping[str, Mapping[str, Measurement]],
    *,
    code: Iterable[str],
    data: Iterable[str],
    settings: Mapping[str, object],
    facts: Mapping[str, object],
    spreads: Mapping[str, Mapping[str, float]] | None = None,
    libraries: Iterable[str] = ("torch", "numpy"),
) -> dict[str, Any]:
    """Judge a table, store it whole or not at all, and return what was stored.

    Args:
        measured: our numbers by column and row.
        code: files of this folder on which they depend.
        data: published files on which they depend.
        settings: what was chosen.
        facts: whatever else the notebook shows.
        spreads: as in `read_figures`.
        libraries: whose versions are noted.
    """
    figures = read_figures(table, spreads)
    modules = sorted({*code, "published.toml"})
    printed = read_published(table).items()
    record: dict[str, Any] = {key: value for key, value in printed if isinstance(value, str)}
    record |= {
        "rows": [row for column in figures for row in _list_rows(column, figures[column], measured[column])],
        "settings": dict(settings),
        "facts": dict(facts),
        "code": {"files": modules, "sha256": hash_code(modules)},
        "data": {name: read_sources()[name].sha256 for name in sorted(data)},
        "versions": {name: version(name) for name in libraries},
    }
    record = _round(record)
    with replace_file(result_file(table)) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")
    return record


def tabulate(record: Mapping[str, Any], column: str | None = None) -> pd.DataFrame:
    """Return the rows of a stored result as a table to show: theirs, ours with interval, verdict.

    Args:
        column: one of several; all if omitted.
    """
    rows = [row for row in record["rows"] if column in (None, row["column"])]
    table = pd.DataFrame(rows)
    table["interval"] = [f"[{row['low']:.3g}, {row['high']:.3g}]" for row in rows]
    table["verdict"] = [join_verdict(row) for row in rows]
    shown = table[["column", "row", "published", "spread", "ours", "interval", "verdict"]]
    return shown.set_index(["column", "row"])


def join_verdict(row: Mapping[str, str]) -> str:
    """Return the word of a row, with its reason where it was not reproduced."""
    return f"{row['verdict']}, because {row['because']}" if row["because"] else row["verdict"]


def _list_rows(
    column: str, figures: Mapping[str, Figure], measured: Mapping[str, Measurement]
) -> list[dict[str, object]]:
    judged = judge_column(figures, measured)
    return [_make_row(column, name, figures[name], measured[name], judged[name]) for name in figures]


def _make_row(column: str, name: str, figure: Figure, ours: Measurement, judgement: Judgement) -> dict[str, object]:
    return {
        "column": column,
        "row": name,
        "published": figure.value,
        "spread": figure.spread,
        "ours": ours.value,
        "low": ours.low,
        "high": ours.high,
        "verdict": judgement.word,
        "because": judgement.because,
    }


def _round(value: Any) -> Any:
    """Round every number to six significant digits: the rest is the processor's."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _round(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_round(entry) for entry in value]
    return value
