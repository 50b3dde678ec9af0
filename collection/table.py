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
    """One line for each figure that was saved or promised; a cell of the id `fig-NN-n` promises the figure."""
    saved = {Path(name).stem: name for name in files if name.endswith(".png")}
    promised = {cell.id for cell in job.code_cells() if FIGURE_ID.fullmatch(cell.id)}
    # a failed run may have saved some, but none of them has taken its place
    absent = "failed" if state == "failed" else "missing"
    lines = []
    for figure in sorted(promised | saved.keys()):
        name = saved.get(figure)
        if name is None:
            lines.append(Line(figure, job.name, "-", absent))
        else:
            path = os.path.relpath(job.figure(name))
            lines.append(Line(figure, job.name, path, _compare_with_stored(job, name)))
    return lines or [Line("-", job.name, "-", state)]


def _compare_with_stored(job: Job, name: str) -> str:
    """`same`, `differs: ...`, `new`, or `other data` where no stored figure shows that dataset.

    Numbers are compared within the tolerance that the stored figure states, see `xnb.plot.figures.compare_figures`.
    """
    if job.shows_other_data(name):
        return "other data"
    numbers = Path(name).with_suffix(".json")
    stored = job.stored / numbers
    fresh = job.figure(numbers.as_posix())
    if not stored.exists():
        return "new"
    if not fresh.exists():
        return "differs: no numbers were saved"
    differences = compare_figures(read_figure(stored), read_figure(fresh))
    if not differences:
        return "same"
    others = len(differences) - 1
    return f"differs: {differences[0]}" + (f"; and {others} more" if others else "")


def print_table(results: Sequence[Result]) -> int:
    """Print the table; 0 if every notebook ran and saved the figures that it promises, else 1.

    A figure that differs is told and is no failure: numbers that come out of training depend on the processor.
    """
    lines = [line for result in results for line in result.lines]
    _write_columns([Line("figure", "notebook", "file", "state"), *lines])
    states = [line.state for line in lines]
    _write(f"\n{_summary(states)}")
    standing = [result.job.name for result in results if result.state == "up to date"]
    if standing:
        _write(f"up to date, not run again: {', '.join(standing)}")
    builds = dict.fromkeys(f"{os.path.relpath(result.job.build)}/" for result in results)
    _write(f"executed notebooks: {', '.join(builds)}")
    return int(any(state in _BROKEN for state in states))


def _write_columns(lines: Sequence[Line]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        _write("  ".join(cells).rstrip())


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
