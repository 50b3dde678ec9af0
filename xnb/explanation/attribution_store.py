"""Attributions of a data set on disk: a Zarr group whose chunks are the blocks that are worked on.

A block is finished when its chunk of the array `error`, which is written last, is there. Chunks are encoded in memory,
written beside the store, and take their places whole: a killed run leaves nothing half written. The bytes of all files
are a function of settings and values: of no order, no clock, and not of who has written them or how often.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xnb.access.descriptions import require_same_settings
from xnb.check import require
from xnb.folders import replace_file
from xnb.storage import read_json

if TYPE_CHECKING:
    import zarr

_GROUP_FILE = "zarr.json"
# What is written later: who finds a file finds those before it.
_ORDER = ("attribution", "target", "logit", "error", _GROUP_FILE)
_WAITING = "not explained yet"  # `error` of inputs whose block is not finished
_COMPRESSION = 1  # level of Zstandard


class Explained(NamedTuple):
    """What the store says of the inputs of a block, a row an input.

    Attributes:
        attribution: NaN where there is none.
        target: the class that was explained; -1 where none was named, and there is no map.
        logit: of that class.
        error: why there is no attribution; empty where there is one.
    """

    attribution: np.ndarray
    target: np.ndarray
    logit: np.ndarray
    error: np.ndarray


class MapForm(NamedTuple):
    """Shape of the map of one input, and the precision of its values, by its name in numpy."""

    shape: tuple[int, ...]
    dtype: str


class AttributionStore:
    """The Zarr group at `path`, made when the first block is about to be written.

    Args:
        settings: by which it is known again.
        size: how many inputs the data have.
        batch: inputs of a block.

    Raises:
        ValueError: something else lies at `path`, or a store that was made with other settings.
        ImportError: Zarr is not installed.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], size: int, batch: int) -> None:
        _require_zarr()
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._size = size
        self._batch = batch
        self._files: dict[str, Any] = {}  # what is encoded and not yet written, by its place in the group
        self._arrays: dict[str, Any] = {}  # of the group, by name; they encode into `_files`
        if path.exists():
            self._check_earlier()

    def _check_earlier(self) -> None:
        """Refuse what this call would spoil; a run that was killed at its first files has left known names alone."""
        names = set(_list_unhidden(self.path)) if self.path.is_dir() else {"a file"}
        free = self.path.with_name(f"{self.path.stem}-2{self.path.suffix}")
        rule = "attribute_data: path must be free, or that of an earlier call"
        require(names <= set(_ORDER), rule, str(self.path), f"path={str(free)!r}")
        if _GROUP_FILE in names:
            group = read_json(self.path / _GROUP_FILE, "attribute_data")
            require_same_settings(group.get("attributes", {}), self.settings, self.path, "attribute_data")

    def list_finished(self) -> set[int]:
        """Return the numbers of the blocks that are finished."""
        chunks = self.path / "error" / "c"
        return {int(name) for name in _list_unhidden(chunks)} if chunks.exists() else set()

    def lay_out(self, form: MapForm) -> None:
        """Make the arrays, without values, unless they are there."""
        import zarr
        from zarr.codecs import ZstdCodec

        encoded = zarr.storage.MemoryStore(self._files)
        group = zarr.create_group(encoded, attributes=self.settings)
        kinds = {"attribution": (form.dtype, nan), "target": ("int64", -1), "logit": ("float64", nan)}
        for name, (kind, empty) in {**kinds, "error": ("str", _WAITING)}.items():
            axes = form.shape if name == "attribution" else ()
            self._arrays[name] = group.create_array(
                name,
                shape=(self._size, *axes),
                chunks=(self._batch, *axes),
                dtype=kind,
                fill_value=empty,
                compressors=ZstdCodec(level=_COMPRESSION, checksum=False),
                # a block of the values that stand for none is finished like any other
                config={"write_empty_chunks": True},
            )
        if (self.path / _GROUP_FILE).exists():
            self._files.clear()
        self._write_files()

    def write(self, start: int, explained: Explained) -> None:
        """Write the block that begins at this input; each of its files is there whole, or not at all."""
        rows = slice(start, start + len(explained.error))
        for name, values in explained._asdict().items():
            self._arrays[name][rows] = values
        self._write_files()

    def _write_files(self) -> None:
        for place in sorted(self._files, key=_rank_file):
            with replace_file(self.path / place, self.path) as draft:
                draft.write_bytes(self._files[place].to_bytes())
        self._files.clear()

    def open(self) -> "zarr.Group":
        """Return the group, to be read."""
        import zarr

        return zarr.open_group(self.path, mode="r")


def _list_unhidden(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, without what systems hide there."""
    return [file.name for file in folder.iterdir() if not file.name.startswith(".")]


def _rank_file(place: str) -> int:
    name, _, _ = place.partition("/")
    return _ORDER.index(name)


def _require_zarr() -> None:
    found = find_spec("zarr") is not None
    rule = "attribute_data: Zarr must be installed"
    require(found, rule, "no module named zarr", "pip install 'xnb[scale]'", error=ImportError)
