"""Cells of a comparison as one table: in memory, and as a pair of Parquet files, values apart from seconds."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from xnb.check import refuse
from xnb.folders import replace_file

# The rows of a cell, column by column.
Columns: TypeAlias = Mapping[str, list]

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
COLUMNS = (*_VALUES.names, *_SECONDS.names)
_SETTINGS_KEY = b"xnb.compare"  # of the settings among a file's metadata
_GROUP_ROWS = 5_000  # written at once: so many are in memory, however many there are


def write_table(path: Path, settings: Mapping[str, Any], cells: Iterable[Columns]) -> None:
    """Write values to `path` and seconds beside it; each file is whole or not there.

    The values come last: without them the parts are read again. The bytes of the values depend on the settings and on
    the cells in their order, and on nothing else.
    """
    metadata = {_SETTINGS_KEY: json.dumps(settings).encode()}
    # drafts take their places in the order opposite to that in which they are begun
    with replace_file(path) as values, replace_file(_seconds_path(path)) as seconds, ExitStack() as writers:
        drafts = {values: _VALUES, seconds: _SECONDS}
        open_writers = [
            writers.enter_context(parquet.ParquetWriter(draft, schema.with_metadata(metadata)))
            for draft, schema in drafts.items()
        ]
        for rows in _join_cells(cells):
            for writer in open_writers:
                writer.write_table(_to_arrow(rows, writer.schema))


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a file that `write_table` made; none of another file."""
    metadata = _read_parquet(parquet.read_schema, path).metadata or {}
    return json.loads(metadata.get(_SETTINGS_KEY, b"{}"))


def read_comparison(path: Path) -> pd.DataFrame:
    """Return values and seconds of a file; seconds are NaN where their file was deleted."""
    values = _read_parquet(parquet.read_table, path).to_pandas()
    seconds_path = _seconds_path(path)
    has_seconds = seconds_path.exists()
    seconds = _read_parquet(parquet.read_table, seconds_path) if has_seconds else _SECONDS.empty_table()
    # A run that is killed between its two files may have written some seconds too many: they go first.
    return values.join(seconds.to_pandas().reindex(range(len(values))))


def _read_parquet(read: Callable[[Path], Any], path: Path) -> Any:
    try:
        return read(path)
    except (pa.ArrowException, OSError) as error:
        hint = f"remove {path.name}, and the same call again"
        refuse("compare: the file must be a whole Parquet file", f"{path.name}: {error}", hint)


def to_frame(cells: Iterable[Columns]) -> pd.DataFrame:
    """Return the rows of these cells as they would be read from a file."""
    schema = pa.schema([*_VALUES, *_SECONDS])
    groups = [_to_arrow(rows, schema) for rows in _join_cells(cells)]
    return pa.concat_tables([schema.empty_table(), *groups]).to_pandas()


def _join_cells(cells: Iterable[Columns]) -> Iterator[dict[str, list]]:
    """Yield the rows of many cells together, so that memory and a file's row groups have a bound."""
    rows: dict[str, list] = {name: [] for name in COLUMNS}
    for cell in cells:
        for name in COLUMNS:
            rows[name].extend(cell[name])
        if len(rows["image"]) >= _GROUP_ROWS:
            yield rows
            rows = {name: [] for name in COLUMNS}
    if rows["image"]:
        yield rows


def _to_arrow(rows: Mapping[str, Sequence], schema: pa.Schema) -> pa.Table:
    # None becomes null, as in `error` where there was none; in numbers NaN stays NaN.
    columns = [pa.array(rows[name], schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)


def _seconds_path(path: Path) -> Path:
    return path.with_suffix(".seconds.parquet")
