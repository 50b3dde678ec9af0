"""The table at the end of a run: every figure, where it is, and whether its numbers are the stored ones."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from collection.jobs import Job
from xnb.plot.figures import FIGURE_ID, compare_figures, read_figure

_BROKEN = ("failed", "missing")


State = Literal["ok", "up to date", "failed"]


class Line(NamedTuple):
    """One line of the table."""

    figure: str
    notebook: str
    file: str
    state: str


@dataclass(frozen=True)
class Result:
    """How a job ended, with its lines of the table.

    `files` are the names of its figures' files, below the figures folder, with their hashes.
    """

    job: Job
    state: State
    files: dict[str, str]
    lines: list[Line]


def conclude(job: Job, state: State, files: dict[str, str]) -> Result:
    """The job's result, compared with what is stored at this moment."""
    return Result(job, state, files, _list_figures(job, state, files))


def _list_figures(job: Job, state: State, files: dict[str, str]) -> list[Line]:
    """Every `fig-NN-n` cell promises the figure of that name."""
    saved = {Path(name).stem: name for name in files if name.endswith(".png")}
    promised = {cell.id for cell in job.code_cells() if FIGURE_ID.fullmatch(cell.id)}
    lines = []
    for figure in sorted(promised | saved.keys()):
        if figure in saved:
            name = saved[figure]
            lines.append(Line(figure, job.name, os.path.relpath(job.figure(name)), _compare_with_stored(job, name)))
        else:
            lines.append(Line(figure, job.name, "-", "failed" if state == "failed" else "missing"))
    return lines or [Line("-", job.name, "-", state)]


def _compare_with_stored(job: Job, name: str) -> str:
    """`same`, `differs: ...`, `new`, or `other data` where no stored figure shows that dataset.

    Numbers are compared within the tolerance that the stored figure states, see `xnb.plot.figures.compare_figures`.
    """
    numbers = Path(name).with_suffix(".json").as_posix()
    if job.shows_other_data(name):
        return "other data"
    if not (job.stored / numbers).exists():
        return "new"
    if not job.figure(numbers).exists():
        return "differs: no numbers were saved"
    first, *others = compare_figures(read_figure(job.stored / numbers), read_figure(job.figure(numbers))) or [""]
    more = f"; and {len(others)} more" if others else ""
    return f"differs: {first}{more}" if first else "same"


def print_table(results: Sequence[Result]) -> int:
    """Print the table; 0 if every notebook ran and saved the figures that it promises, else 1.

    A figure that differs is told and is no failure: numbers that come out of training depend on the processor.
    """
    lines = [line for result in results for line in result.lines]
    table = [Line("figure", "notebook", "file", "state"), *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        _write("  ".join(cells).rstrip())
    _write("")
    states = [line.state for line in lines]
    _write(_summary(states))
    standing = [result.job.name for result in results if result.state == "up to date"]
    if standing:
        _write(f"up to date, not run again: {', '.join(standing)}")
    _write(f"executed notebooks: {os.path.relpath(results[0].job.build)}/")
    return int(any(state in _BROKEN for state in states))


def _summary(states: Sequence[str]) -> str:
    """How many figures are as stored, and what to make of the others."""
    kinds = [state.split(":")[0] for state in states]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("same", "differs", "new", "other data", *_BROKEN)]
    text = "figures beside the stored ones: " + ", ".join(count for count in counts if not count.startswith("0 "))
    if "differs" in kinds:
        text += "\n  numbers that come out of training depend on the processor; `make refresh` would store these"
    return text


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
