"""The file of a comparison: values in one, measured seconds in another beside it.

Values are a function of the settings, seconds never are. With a file each, a run that was killed and resumed
leaves the same bytes in the file of values as one that was not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from xnb.check import require
from xnb.folders import replace_file

_VALUES = pa.schema(
    [
        ("model", pa.int32()),
        ("method", pa.string()),
        ("metric", pa.string()),
        ("image", pa.int64()),
        ("value", pa.float64()),
        ("error", pa.string()),
        ("forward", pa.float64()),
        ("backward", pa.float64()),
    ]
)
_SECONDS = pa.schema([("seconds", pa.float64()), ("method_seconds", pa.float64())])
_SETTINGS_KEY = b"xnb.compare"  # of the settings among a file's metadata


def _empty_table() -> pd.DataFrame:
    return pa.schema([*_VALUES, *_SECONDS]).empty_table().to_pandas()


@dataclass
class Store:
    """Rows so far; with a path, also on disk after every `add`."""

    path: Path | None
    settings: Mapping[str, object]
    table: pd.DataFrame = field(default_factory=_empty_table)

    def __post_init__(self) -> None:
        """Take over the rows of an earlier run with the same settings."""
        self.settings = json.loads(json.dumps(self.settings))
        if self.path is None or not self.path.exists():
            return
        file = parquet.read_table(self.path)
        metadata = file.schema.metadata or {}
        earlier = json.loads(metadata.get(_SETTINGS_KEY, b"{}"))
        _check_same_settings(earlier, self.settings, self.path)
        values = file.to_pandas()
        seconds = _read_seconds(_seconds_path(self.path), len(values))
        self.table = pd.concat([values, seconds], axis=1)

    def has(self, model: int, image: int) -> bool:
        """Return whether there are rows of this model and image."""
        same = (self.table["model"] == model) & (self.table["image"] == image)
        return bool(same.any())

    def add(self, rows: pd.DataFrame) -> None:
        """Enter the rows of one finished block, and rewrite the files."""
        rows = rows[self.table.columns].astype(self.table.dtypes.to_dict())
        # An empty table is not joined: pandas 2 warns of it.
        self.table = pd.concat([self.table, rows], ignore_index=True) if len(self.table) else rows
        if self.path is not None:
            # The values last: they say which blocks are finished.
            self.write(_SECONDS, _seconds_path(self.path))
            self.write(_VALUES, self.path)

    def write(self, schema: pa.Schema, path: Path) -> None:
        """Replace the file at once, so that a killed run leaves the one before."""
        columns = [_to_arrow(self.table[name], schema.field(name).type) for name in schema.names]
        metadata = {_SETTINGS_KEY: json.dumps(self.settings).encode()}
        table = pa.Table.from_arrays(columns, schema=schema.with_metadata(metadata))
        with replace_file(path) as draft:
            parquet.write_table(table, draft)


def _seconds_path(path: Path) -> Path:
    return path.with_suffix(".seconds.parquet")


def _read_seconds(path: Path, rows: int) -> pd.DataFrame:
    """Return the seconds of so many rows; NaN where the file was deleted."""
    seconds = parquet.read_table(path) if path.exists() else _SECONDS.empty_table()
    # A run that is killed between its two files has written some seconds too many: they go first.
    return seconds.to_pandas().reindex(range(rows))


def _to_arrow(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """Return the column in one piece, so that the file does not depend on how many pieces it was made from."""
    if pa.types.is_string(kind):
        # from_pandas: None and NaN become null, as in `error` where there was none; in numbers NaN stays NaN.
        return pa.array(column.to_numpy(dtype=object), kind, from_pandas=True)
    return pa.array(column.to_numpy(), kind, from_pandas=False)


def _check_same_settings(earlier: Mapping[str, object], now: Mapping[str, object], path: Path) -> None:
    """Refuse to mix rows that were made otherwise, and name what is not the same."""
    different = {}
    for name, setting in now.items():
        # as text: NaN among the knobs then equals itself
        if json.dumps(earlier.get(name)) != json.dumps(setting):
            different[name] = (earlier.get(name), setting)
    rule = f"compare: {path.name} was written with other settings: {', '.join(different)} (in the file, now)"
    require(not different, rule, different, f'path="{path.stem}-2.parquet"')
