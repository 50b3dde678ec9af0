"""The file of a comparison: values in one, measured seconds in another beside it.

Values are a function of the settings, seconds never are. So they are kept apart: a run that was killed and resumed
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

VALUES = pa.schema(
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
SECONDS = pa.schema([("seconds", pa.float64()), ("method_seconds", pa.float64())])
KEY = b"xnb.compare"


@dataclass
class Store:
    """Rows so far; with a path, also on disk after every `add`."""

    path: Path | None
    settings: Mapping[str, object]
    table: pd.DataFrame = field(default_factory=lambda: empty().to_pandas())

    def __post_init__(self) -> None:
        """Take over the rows of an earlier run with the same settings."""
        self.settings = json.loads(json.dumps(self.settings))
        if self.path is None or not self.path.exists():
            return
        found = parquet.read_table(self.path)
        check(json.loads((found.schema.metadata or {}).get(KEY, b"{}")), self.settings, self.path)
        values, seconds = found.to_pandas(), SECONDS.empty_table().to_pandas()
        if self.clock.exists():
            seconds = parquet.read_table(self.clock).to_pandas()
        # seconds are written first: a run killed in between has some too many; where they were deleted all are NaN
        self.table = pd.concat([values, seconds.reindex(range(len(values)))], axis=1)

    @property
    def clock(self) -> Path:
        return self.path.with_suffix(".seconds.parquet")

    def has(self, model: int, image: int) -> bool:
        return bool(((self.table["model"] == model) & (self.table["image"] == image)).any())

    def add(self, rows: pd.DataFrame) -> None:
        """Enter the rows of one finished block."""
        rows = rows[self.table.columns].astype(self.table.dtypes.to_dict())
        self.table = pd.concat([self.table, rows], ignore_index=True) if len(self.table) else rows
        if self.path is not None:
            self.write(SECONDS, self.clock)
            self.write(VALUES, self.path)

    def write(self, schema: pa.Schema, path: Path) -> None:
        """Replace the file at once, so that a killed run leaves the one before."""
        columns = [as_arrow(self.table[name], schema.field(name).type) for name in schema.names]
        told = schema.with_metadata({KEY: json.dumps(self.settings).encode()})
        with replace_file(path) as draft:
            parquet.write_table(pa.Table.from_arrays(columns, schema=told), draft)


def as_arrow(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """In one piece, whatever pieces it was put together from; only an error can be absent, NaN stays NaN."""
    text = pa.types.is_string(kind)
    return pa.array(column.to_numpy(dtype=object, na_value=None) if text else column.to_numpy(), kind, from_pandas=text)


def empty() -> pa.Table:
    return pa.schema([*VALUES, *SECONDS]).empty_table()


def check(earlier: Mapping[str, object], now: Mapping[str, object], path: Path) -> None:
    """Refuse to mix rows that were made otherwise, and name what is not the same."""
    others = [name for name in now if json.dumps(earlier.get(name)) != json.dumps(now[name])]
    got = {name: (earlier.get(name), now[name]) for name in others}
    rule = f"compare: {path.name} was written with other settings: {', '.join(others)} (in the file, now)"
    require(not others, rule, got, f'path="{path.stem}-2.parquet"')
