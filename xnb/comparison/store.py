"""The file of a comparison, and beside it, while it is made, a folder with every cell that is finished.

A cell is one method by one metric on the images of a block. It is appended as a line of JSON as soon as it is known,
so that a run which is killed loses one cell at most, and none is ever written twice. At the end all cells become one
file in the order of the plan: whatever order they were finished in, by whom, and however often a run was killed, its
bytes are the same. Values are a function of the settings, seconds never are: these lie in a file of their own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pandas as pd

from xnb.access.descriptions import require_same_settings
from xnb.check import require
from xnb.comparison.tables import COLUMNS, Columns, read_comparison, read_settings, to_frame, write_table
from xnb.folders import NamedFile, take_turns

Row = Mapping[str, Any]


class CellName(NamedTuple):
    """A method by a metric on a block, which is known by its first image."""

    model: int
    method: str
    metric: str
    image: int


class _Line(NamedTuple):
    """Where the cell stands on disk."""

    part: Path
    offset: int


@dataclass
class Store:
    """Cells so far; with a path they are on disk after every `add`, and in one file after `finish`.

    Memory holds, with a path, where each cell stands, and no values.

    Attributes:
        path: of the file; cells lie in a folder beside it, `.parts` in place of `.parquet`.
        settings: by which the file is recognised; they also tell the order of its rows.
    """

    path: Path | None
    settings: Mapping[str, Any]
    _cells: dict[CellName, _Line | Columns] = field(default_factory=dict)
    _finished: bool = False
    _part: Path | None = None

    def __post_init__(self) -> None:
        """Look up the cells of earlier runs with the same settings."""
        self.settings = json.loads(json.dumps(self.settings))
        if self.path is None or not self.path.parent.exists():
            return
        with take_turns(self.path.parent):  # another run may be making the file of the parts
            if self.path.exists():
                self._check_settings(read_settings(self.path))
                self._finished = True
            for part in sorted(_parts_folder(self.path).glob("*.jsonl")):
                self._look_up(part)

    def _look_up(self, part: Path) -> None:
        lines = _read_lines(part)
        _, settings = next(lines, (0, {}))
        if settings:
            self._check_settings(settings)
        for offset, cell in lines:
            self._cells[_name_cell(cell)] = _Line(part, offset)

    def _check_settings(self, earlier: Mapping[str, object]) -> None:
        if self.path is not None:
            require_same_settings(earlier, self.settings, self.path, "compare")

    def has(self, model: int, method: str, metric: str, images: Sequence[int]) -> bool:
        """Return whether the cell of these images is finished."""
        return self._finished or CellName(model, method, metric, images[0]) in self._cells

    def count_missing(self) -> int:
        """Return how many cells of the plan are not finished."""
        if self._finished:
            return 0
        return sum(name not in self._cells for name in self._list_names())

    def add(self, rows: Sequence[Row]) -> None:
        """Enter the rows of one finished cell, and append them to a part as one line."""
        cell = {name: [row[name] for row in rows] for name in COLUMNS}
        self._cells[_name_cell(cell)] = cell if self.path is None else self._append(self.path, cell)

    def _append(self, path: Path, cell: Columns) -> _Line:
        if self._part is None or not self._part.exists():  # another run may have finished, and tidied up
            self._part = self._start_part(path)
        offset = self._part.stat().st_size
        _append_line(self._part, cell)
        return _Line(self._part, offset)

    def _start_part(self, path: Path) -> Path:
        """Make a file for the cells of this run alone: no run appends to what another may have left half written."""
        folder = _parts_folder(path)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{uuid4().hex}.jsonl"
        _append_line(part, self.settings)
        return part

    def _list_names(self) -> Iterator[CellName]:
        """Yield the cells of the whole plan, in its order: by model, block, method and metric."""
        firsts = self.settings["images"][:: self.settings["batch"]]
        for model in range(len(self.settings["models"])):
            for image in firsts:
                for method in self.settings["methods"]:
                    for metric in self.settings["metrics"]:
                        yield CellName(model, method, metric, image)

    def _read_cells(self) -> Iterator[Columns]:
        """Yield the finished cells in the order of the plan."""
        for name in self._list_names():
            cell = self._cells.get(name)
            if isinstance(cell, _Line):
                cell = _read_line(cell)
            if cell is not None:
                yield cell

    def table(self) -> pd.DataFrame:
        """Return the rows of finished cells in the order of the plan: by model, block, method, metric and image."""
        if self._finished and self.path is not None:
            return read_comparison(self.path)
        return to_frame(self._read_cells())

    def finish(self) -> None:
        """With a path, write all cells into its file, and remove the parts that it is made of.

        Raises:
            ValueError: a cell is missing.
        """
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # of two runs that end together the second finds the file of the first
        with take_turns(self.path.parent):
            if not self.path.exists():
                missing = self.count_missing()
                rule = f"compare: {self.path.name} must have all its cells before it can be written"
                hint = "xnb.compare(...)  # the same call goes on where it is"
                require(missing == 0, rule, f"{missing} missing", hint)
                self._write(self.path)
            self._finished = True
            _remove_parts(_parts_folder(self.path))

    def _write(self, path: Path) -> None:
        try:
            write_table(path, self.settings, self._read_cells())
        except FileNotFoundError:
            # Another run has made the same file meanwhile, and removed the parts of both.
            require(path.exists(), "compare: parts of a comparison must stay", path.name, "xnb.compare(...)  # again")


def gather(path: Path) -> Store:
    """Make the file of a comparison from the parts that shards have left, and return its store.

    Raises:
        ValueError: there are no parts, a cell is missing, or parts belong to different comparisons.
    """
    settings: Mapping[str, Any] = {}
    # another run may be making the file, and removing its parts
    with take_turns(path.parent) if path.parent.exists() else nullcontext():
        if path.exists():
            settings = read_settings(path)
        for part in _parts_folder(path).glob("*.jsonl"):
            _, settings = next(_read_lines(part), (0, settings))
    hint = f"python -m xnb compare study.py:arguments --path {path}"
    require(bool(settings), "gather: there must be parts of a comparison", str(_parts_folder(path)), hint)
    store = Store(path, settings)
    missing = store.count_missing()
    rule = f"gather: all cells must be finished; the call without --shard does what is left, and makes {path.name}"
    require(missing == 0, rule, f"{missing} missing", hint)
    store.finish()
    return store


def _name_cell(cell: Columns) -> CellName:
    return CellName(*(cell[name][0] for name in CellName._fields))


def _parts_folder(path: Path) -> Path:
    return path.with_suffix(".parts")


def _append_line(path: Path, content: Mapping[str, Any]) -> None:
    with NamedFile(path), path.open("a") as file:
        file.write(json.dumps(content) + "\n")


def _read_line(line: _Line) -> Columns:
    with line.part.open("rb") as file:
        file.seek(line.offset)
        return json.loads(file.readline())


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what each line holds, and where it begins; the last is left out where a killed run did not end it.

    The first line are the settings, each other one is a cell.
    """
    offset = 0
    hint = f"remove {path.parent.name}/{path.name}, and the same call measures its cells again"
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                content = _parse_line(line)
                whole = content is not None and (offset == 0 or content.keys() >= set(COLUMNS))
                require(whole, "compare: a part of the comparison is damaged", f"{path.name}, byte {offset}", hint)
                yield offset, content or {}
            offset += len(line)


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _remove_parts(folder: Path) -> None:
    for part in folder.glob("*.jsonl"):
        part.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or another run has begun a part in it
        folder.rmdir()
