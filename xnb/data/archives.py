"""Read pictures out of archives that nobody vouches for: no links, no paths that lead outside, no code."""

import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from xnb.check import require

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, pickle.UnpicklingError, EOFError, OSError)


class Entry(NamedTuple):
    """One file of an archive: its path inside, and its bytes."""

    path: PurePosixPath
    content: bytes


def entries(archive: Path) -> Iterator[Entry]:
    """Every file of a tar (plain, gz, bz2, xz) or zip archive, in its order.

    Raises:
        ValueError: the archive is damaged, or holds a link, a device or a path that leads outside.
    """
    try:
        yield from _of_zip(archive) if zipfile.is_zipfile(archive) else _of_tar(archive)
    except DAMAGED as error:
        what = f"{archive.name}: {type(error).__name__}: {error}"
        require(False, "archive: must be a whole tar or zip file", what, "bring the archive again")


def _of_tar(archive: Path) -> Iterator[Entry]:
    with tarfile.open(archive) as tar:
        for member in tar:
            path = _inside(member.name)
            plain = member.isfile() or member.isdir()
            require(plain, "archive: must hold files only, no links or devices", member.name, "unpack it yourself")
            if member.isfile():
                yield Entry(path, tar.extractfile(member).read())


def _of_zip(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            path = _inside(member.filename)
            link = (member.external_attr >> 16) & 0o170000 == 0o120000
            require(not link, "archive: must hold files only, no links or devices", member.filename)
            if not member.is_dir():
                yield Entry(path, file.read(member))


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    require(not outside, "archive: paths must stay inside", name, "do not use this archive")
    return path


class _Plain(pickle.Unpickler):
    """Unpickles what CIFAR's batches are made of, and nothing that could run code."""

    ALLOWED = frozenset({("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")})

    def find_class(self, module: str, name: str) -> object:
        allowed = (module, name) in self.ALLOWED
        require(allowed, "archive: a batch holds arrays and names only", f"{module}.{name}", "do not use this archive")
        return np._core.multiarray._reconstruct if name == "_reconstruct" else getattr(np, name)


def batch(content: bytes) -> dict[bytes, object]:
    """One of CIFAR-10's original batches: `data` (n, 3072) of uint8, `labels`, `filenames`."""
    return _Plain(io.BytesIO(content), encoding="bytes").load()
