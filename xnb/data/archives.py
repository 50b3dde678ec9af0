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

from xnb.check import refuse, require

# zipfile raises RuntimeError where a password or another compression is needed
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, RuntimeError)
# what a damaged pickle may raise while it is loaded
PICKLE_ERRORS = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
# an archive with a fault is not mended here: the original is brought instead, whatever XNB_CIFAR10 names
ORIGINAL_HINT = 'import os; os.environ.pop("XNB_CIFAR10", None); xnb.data.cifar10()  # brings the original, 170 MB'
MAX_FILE_BYTES = 2**28  # bytes of one file inside; an original batch of CIFAR-10 has 31 million


class ArchiveEntry(NamedTuple):
    """One file of an archive: its path inside, and its bytes."""

    path: PurePosixPath
    content: bytes


def read_entries(archive: Path) -> Iterator[ArchiveEntry]:
    """Every file of a tar (plain, gz, bz2, xz) or zip archive, in its order; nothing is written to disk.

    Raises:
        ValueError: the archive is damaged or encrypted, or holds a link, a device, a path that leads outside, or
            a file of more than 256 MiB.
    """
    try:
        yield from _read_zip(archive) if zipfile.is_zipfile(archive) else _read_tar(archive)
    except ARCHIVE_ERRORS as error:
        what = f"{archive.name}: {type(error).__name__}: {error}"
        refuse("archive: must be a whole tar or zip file", what, ORIGINAL_HINT)


def _read_tar(archive: Path) -> Iterator[ArchiveEntry]:
    with tarfile.open(archive) as tar:
        for member in tar:
            is_plain = member.isfile() or member.isdir()
            path = _check_member(member.name, member.size, is_plain)
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield ArchiveEntry(path, file.read())


def _read_zip(archive: Path) -> Iterator[ArchiveEntry]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            file_type = (member.external_attr >> 16) & 0o170000  # as Unix stores it
            is_link = file_type == 0o120000
            path = _check_member(member.filename, member.file_size, not is_link)
            if not member.is_dir():
                yield ArchiveEntry(path, file.read(member))


def _check_member(name: str, size: int, is_plain: bool) -> PurePosixPath:
    """The path of a member of an archive, refused unless it may be read."""
    require(is_plain, "archive: must hold files only, no links or devices", name, ORIGINAL_HINT)
    path = PurePosixPath(name.replace("\\", "/"))
    first_part = "".join(path.parts[:1])  # a path may have none
    has_drive = ":" in first_part
    leads_outside = path.is_absolute() or ".." in path.parts or has_drive
    require(not leads_outside, "archive: paths must stay inside", name, ORIGINAL_HINT)
    rule = f"archive: {name} must have at most {MAX_FILE_BYTES} bytes"
    require(size <= MAX_FILE_BYTES, rule, size, ORIGINAL_HINT)
    return path


class _Inert:
    """A stand-in for any object of a pickle: it keeps what the object is made of, and runs nothing."""

    def __init__(self, *made_of: object) -> None:
        self.made_of = made_of

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Inspector(pickle.Unpickler):
    """Loads a pickle without creating its objects, numpy's own included: crafted ones crash the interpreter."""

    KNOWN = frozenset({"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"})

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.foreign = ""

    def find_class(self, module: str, name: str) -> type[_Inert]:
        if f"{module}.{name}" not in self.KNOWN:
            self.foreign = f"{module}.{name}"
        return _Inert


def unpickle_batch(content: bytes) -> tuple[np.ndarray, list[int]]:
    """Pictures `(n, 32, 32, 3)` of uint8 and the labels, 0 to 9, of one of CIFAR-10's original batches.

    Raises:
        ValueError: the bytes are damaged, another thing than a batch, or ask for code to be run.
    """
    inspector = _Inspector(content)
    rule = "archive: a batch must hold n x 3072 bytes and n labels"
    try:
        pickled = inspector.load()
        labels = pickled[b"labels"]
        _, shape, _, _, raw = pickled[b"data"].state  # the state of a numpy array
        pixels = np.frombuffer(raw, np.uint8).reshape(-1, 3, 32, 32)
        shape_fits = shape == (len(labels), 3072)
        count_fits = len(pixels) == len(labels)
        labels_fit = set(labels) <= set(range(10))
    except (*PICKLE_ERRORS, MemoryError) as error:
        _refuse_foreign(inspector)
        refuse(rule, f"{type(error).__name__}: {error}", ORIGINAL_HINT)
    _refuse_foreign(inspector)
    require(shape_fits and count_fits and labels_fit, rule, pickled, ORIGINAL_HINT)
    return pixels.transpose(0, 2, 3, 1), labels


def _refuse_foreign(inspector: _Inspector) -> None:
    foreign = inspector.foreign
    require(not foreign, "archive: a batch holds arrays and names only", foreign, ORIGINAL_HINT)
