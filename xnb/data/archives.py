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

# RuntimeError is how zipfile says that a password or another compression is needed
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, RuntimeError)
# what a damaged pickle makes of itself on the way
MANGLED = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
LARGEST = 2**28  # bytes of one file inside; an original batch of CIFAR-10 has 31 million


class Entry(NamedTuple):
    """One file of an archive: its path inside, and its bytes."""

    path: PurePosixPath
    content: bytes


def entries(archive: Path) -> Iterator[Entry]:
    """Every file of a tar (plain, gz, bz2, xz) or zip archive, in its order; nothing is written.

    Raises:
        ValueError: the archive is damaged or encrypted, or holds a link, a device, a path that leads outside, or
            a file of more than 256 MiB.
    """
    try:
        yield from _of_zip(archive) if zipfile.is_zipfile(archive) else _of_tar(archive)
    except DAMAGED as error:
        what = f"{archive.name}: {type(error).__name__}: {error}"
        require(False, "archive: must be a whole tar or zip file", what, "bring the archive again")


def _of_tar(archive: Path) -> Iterator[Entry]:
    with tarfile.open(archive) as tar:
        for member in tar:
            path = _checked(member.name, member.size, member.isfile() or member.isdir())
            if member.isfile():
                yield Entry(path, tar.extractfile(member).read())


def _of_zip(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            link = (member.external_attr >> 16) & 0o170000 == 0o120000
            path = _checked(member.filename, member.file_size, not link)
            if not member.is_dir():
                yield Entry(path, file.read(member))


def _checked(name: str, size: int, plain: bool) -> PurePosixPath:
    """The path of a member that may be read."""
    require(plain, "archive: must hold files only, no links or devices", name, "unpack it yourself")
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])
    require(not outside, "archive: paths must stay inside", name, "do not use this archive")
    require(size <= LARGEST, f"archive: {name} must have at most {LARGEST} bytes", size, "unpack it yourself")
    return path


class _Inert:
    """Stands for any object of a pickle: keeps what it is made of, and runs nothing."""

    def __init__(self, *made_of: object) -> None:
        self.made_of = made_of

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Inspector(pickle.Unpickler):
    """Lets nothing of a pickle come to life; numpy's own objects neither: crafted ones crash the interpreter."""

    KNOWN = frozenset({"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"})

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.foreign = ""

    def find_class(self, module: str, name: str) -> type[_Inert]:
        if f"{module}.{name}" not in self.KNOWN:
            self.foreign = f"{module}.{name}"
        return _Inert


def batch(content: bytes) -> tuple[np.ndarray, list[int]]:
    """Pictures `(n, 32, 32, 3)` of uint8 and the labels, 0 to 9, of one of CIFAR-10's original batches.

    Raises:
        ValueError: the bytes are damaged, another thing than a batch, or ask for code to be run.
    """
    inspector = _Inspector(content)
    try:
        held = inspector.load()
        labels, (_, shape, _, _, raw) = held[b"labels"], held[b"data"].state  # the state of a numpy array
        pixels = np.frombuffer(raw, np.uint8).reshape(-1, 3, 32, 32)
        sound = shape == (len(labels), 3072) and len(pixels) == len(labels) and set(labels) <= set(range(10))
    except (*MANGLED, MemoryError) as error:
        sound, held = False, f"{type(error).__name__}: {error}"
    foreign = inspector.foreign
    require(not foreign, "archive: a batch holds arrays and names only", foreign, "do not use this archive")
    require(sound, "archive: a batch must hold n x 3072 bytes and n labels", held, "bring the archive again")
    return pixels.transpose(0, 2, 3, 1), labels
