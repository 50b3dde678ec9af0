"""The file of a comparison, and beside it, while it is made, a folder with every cell that is finished.

A cell is one method by one metric on the images of a block. It is appended as a line of JSON as soon as it is known,
so that a run which is killed loses one cell at most, and none is ever written twice. At the end all cells become one
file in the order of the plan: whatever order they were finished in, and however often a run was killed, its bytes are
the same. Values are a function of the settings, seconds never are: these lie in a file of their own.
"""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from xnb.check import require
from xnb.folders import replace_file

_VALUES = pa.schema(
    [
        ("model", pa.int32()),
        ("method", pa.string()),
        ("sign", pa.string()),
        ("metric", pa.string()),
        ("image", pa.int64()),
        ("value", pa.float64()),
        ("error", pa.string()),
        ("forward", pa.float64()),
        ("backward", pa.float64()),
    ]
)
_SECONDS = pa.schema([("seconds", pa.float64()), ("method_seconds", pa.float64())])
_COLUMNS = (*_VALUES.names, *_SECONDS.names)
_KEY = ["model", "method", "metric", "image"]
_SETTINGS_KEY = b"xnb.compare"  # of the settings among a file's metadata

Row = Mapping[str, Any]


@dataclass
class Store:
    """Rows so far; with a path, also on disk after every `add`, and in one file after `finish`.

    Attributes:
        path: of the file; cells lie in a folder beside it, `.parts` in place of `.parquet`.
        settings: by which the file is recognised; they also tell the order of its rows.
    """

    path: Path | None
    settings: Mapping[str, Any]
    _rows: dict[str, list] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    _done: set[Hashable] = field(default_factory=set)
    _part: Path | None = None

    def __post_init__(self) -> None:
        """Take over the rows of earlier runs with the same settings."""
        self.settings = json.loads(json.dumps(self.settings))
        if self.path is None:
            return
        if self.path.exists():
            self._take_file(self.path)
        for part in sorted(_parts_folder(self.path).glob("*.jsonl")):
            self._take_part(part)

    def _take_file(self, path: Path) -> None:
        file = parquet.read_table(path)
        metadata = file.schema.metadata or {}
        self._check_settings(json.loads(metadata.get(_SETTINGS_KEY, b"{}")), path)
        seconds = _read_seconds(_seconds_path(path), len(file))
        columns = {name: file[name].to_pylist() for name in _VALUES.names}
        self._enter(columns | {name: seconds[name].tolist() for name in _SECONDS.names})

    def _take_part(self, path: Path) -> None:
        settings, *cells = _read_lines(path) or [{}]
        if settings:
            self._check_settings(settings, path)
        for cell in cells:
            self._enter(cell)

    def _check_settings(self, earlier: Mapping[str, object], path: Path) -> None:
        """Refuse to mix rows that were made otherwise, and name what is not the same."""
        different = {}
        for name, setting in self.settings.items():
            # as text: NaN among the knobs then equals itself
            if json.dumps(earlier.get(name)) != json.dumps(setting):
                different[name] = (earlier.get(name), setting)
        rule = f"compare: {path.name} was written with other settings: {', '.join(different)} (in the file, now)"
        whole = path if self.path is None else self.path
        require(
            not different,
            rule,
            different,
            f"path={str(whole.with_name(whole.stem + '-2.parquet'))!r}",
        )

    def _enter(self, columns: Mapping[str, list]) -> None:
        """Enter rows, given column by column."""
        for name in _COLUMNS:
            self._rows[name].extend(columns[name])
        self._done.update(zip(*(columns[name] for name in _KEY), strict=True))

    def has(self, model: int, method: str, metric: str, images: Sequence[int]) -> bool:
        """Return whether there are rows of all images of this cell."""
        return all((model, method, metric, image) in self._done for image in images)

    def add(self, rows: Sequence[Row]) -> None:
        """Enter the rows of one finished cell, and append them to a part as one line."""
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        if self.path is not None:
            if self._part is None or not self._part.exists():  # another run may have finished, and tidied up
                self._part = self._start_part(self.path)
            with self._part.open("a") as file:
                _write_line(file, columns)
        self._enter(columns)

    def _start_part(self, path: Path) -> Path:
        """Make a file for the cells of this run alone: no run appends to what another may have left half written."""
        folder = _parts_folder(path)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{uuid4().hex}.jsonl"
        with part.open("w") as file:
            _write_line(file, self.settings)
        return part

    def table(self) -> pd.DataFrame:
        """Return the rows in the order of the plan: by model, block, method, metric and image."""
        table = pd.DataFrame(self._rows).astype(_dtypes()).drop_duplicates(_KEY)  # two runs may have made the same cell
        place = {image: position for position, image in enumerate(self.settings["images"])}
        position = table["image"].map(place)
        order = pd.DataFrame(
            {
                "model": table["model"],
                "block": position // self.settings["batch"],
                "method": table["method"].map(_number(self.settings["methods"])),
                "metric": table["metric"].map(_number(self.settings["metrics"])),
                "image": position,
            }
        )
        return table.loc[order.sort_values(list(order.columns)).index].reset_index(drop=True)

    def finish(self) -> pd.DataFrame:
        """Return the table of all cells; with a path, write it and remove the parts that it is made of."""
        table = self.table()
        if self.path is None:
            return table
        folder = _parts_folder(self.path)
        if folder.exists() or not self.path.exists():
            # The values last: without them the parts are read again.
            self._write(table, _SECONDS, _seconds_path(self.path))
            self._write(table, _VALUES, self.path)
            _remove_parts(folder)
        return table

    def _write(self, table: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
        """Replace the file at once, so that a killed run leaves the one before."""
        columns = [_to_arrow(table[name], schema.field(name).type) for name in schema.names]
        metadata = {_SETTINGS_KEY: json.dumps(self.settings).encode()}
        arrow = pa.Table.from_arrays(columns, schema=schema.with_metadata(metadata))
        with replace_file(path) as draft:
            parquet.write_table(arrow, draft)


def _parts_folder(path: Path) -> Path:
    return path.with_suffix(".parts")


def _seconds_path(path: Path) -> Path:
    return path.with_suffix(".seconds.parquet")


def _write_line(file: TextIO, content: Mapping[str, Any]) -> None:
    file.write(json.dumps(content) + "\n")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Return what each line holds; the last one is left out where a killed run did not end it."""
    return list(_parse_whole_lines(path.read_text()))


def _parse_whole_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _remove_parts(folder: Path) -> None:
    for part in folder.glob("*.jsonl"):
        part.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or another run has begun a part in it
        folder.rmdir()


def _read_seconds(path: Path, rows: int) -> pd.DataFrame:
    """Return the seconds of so many rows; NaN where the file was deleted."""
    seconds = parquet.read_table(path) if path.exists() else _SECONDS.empty_table()
    # A run that is killed between its two files has written some seconds too many: they go first.
    return seconds.to_pandas().reindex(range(rows))


def _number(labels: Mapping[str, object]) -> dict[str, int]:
    return {label: number for number, label in enumerate(labels)}


def _dtypes() -> dict[str, Any]:
    return pa.schema([*_VALUES, *_SECONDS]).empty_table().to_pandas().dtypes.to_dict()


def _to_arrow(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """Return the column in one piece, so that the file does not depend on how many pieces it was made from."""
    if pa.types.is_string(kind):
        # from_pandas: None and NaN become null, as in `error` where there was none; in numbers NaN stays NaN.
        return pa.array(column.to_numpy(dtype=object), kind, from_pandas=True)
    return pa.array(column.to_numpy(), kind, from_pandas=False)
