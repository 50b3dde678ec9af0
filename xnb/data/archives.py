"""Read pictures out of archives that nobody vouches for: no links, no paths that lead outside, no code."""

import io
import lzma
import pickle
import pickletools
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from xnb.check import refuse, require

# zipfile raises RuntimeError where a password or another compression is needed
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, RuntimeError)
# what a damaged pickle may raise while it is loaded
PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
# an archive with a fault is not mended here: the original is brought instead, whatever XNB_CIFAR10 names
ORIGINAL_HINT = 'import os; os.environ.pop("XNB_CIFAR10", None); xnb.data.cifar10()  # brings the original, 170 MB'
MAX_FILE_BYTES = 2**28  # bytes of one file inside; an original batch of CIFAR-10 has 31 million
MAX_ALL_BYTES = 2**31  # of all files together; those of CIFAR-10 have 180 million
_MAX_NAME_BYTES = 2**20  # of a record of a tar archive that holds no file: a long name, say
_BLOCK_BYTES = 2**12  # of a packed file that are unpacked at once: they may become a thousand times as many
_MOST_RATIO = 100  # of bytes to packed bytes, where there are many; of pictures it is below ten
# of others zipfile unpacks a block however large it gets
_BOUNDED_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what nests and is hashed: deeply it crashes the interpreter, doubled again and again it takes for ever
_NESTING = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"})
_MOST_NESTING = 16  # a batch has six


class ArchiveEntry(NamedTuple):
    """One file of an archive: its path inside, and its bytes."""

    path: PurePosixPath
    content: bytes


def read_entries(archive: Path) -> Iterator[ArchiveEntry]:
    """Every file of a tar (plain, gz, bz2, xz) or zip archive, in its order; nothing is written to disk.

    Raises:
        ValueError: the archive is damaged or encrypted, or holds a link, a device, a path that leads outside, a file
            of more than 256 MiB, or files of more than 2 GiB together.
    """
    total = 0
    rule = f"archive: files must have at most {MAX_ALL_BYTES} bytes together"
    try:
        for entry in _read_zip(archive) if zipfile.is_zipfile(archive) else _read_tar(archive):
            total += len(entry.content)
            require(total <= MAX_ALL_BYTES, rule, f"{total} bytes until {entry.path}", ORIGINAL_HINT)
            yield entry
    except ARCHIVE_ERRORS as error:
        what = f"{archive.name}: {type(error).__name__}: {error}"
        refuse("archive: must be a whole tar or zip file", what, ORIGINAL_HINT)


class _BoundedInfo(tarfile.TarInfo):
    """The head of a record of a tar archive; what tarfile itself would read into memory, as a long name, is short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedInfo":
        """Read the head, and refuse a record that is too long, before anything of it is read."""
        info = super().frombuf(buf, encoding, errors)
        most = MAX_FILE_BYTES if info.isfile() else _MAX_NAME_BYTES
        require(info.size <= most, f"archive: {info.name} must have at most {most} bytes", info.size, ORIGINAL_HINT)
        return info


def _read_tar(archive: Path) -> Iterator[ArchiveEntry]:
    with tarfile.open(archive, tarinfo=_BoundedInfo) as tar:
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
            is_bounded = member.compress_type in _BOUNDED_PACKINGS
            rule = "archive: files of a zip must be stored or deflated"
            require(is_bounded, rule, f"{member.filename}: method {member.compress_type}", ORIGINAL_HINT)
            if not member.is_dir():
                with file.open(member) as content:
                    yield ArchiveEntry(path, _read_in_blocks(content.read, member.file_size))


def find_bomb(file: zipfile.ZipFile) -> str:
    """Return what in a zip file would fill the memory if it were unpacked, or nothing where there is no such thing."""
    for member in file.infolist():
        if member.compress_type not in _BOUNDED_PACKINGS:
            return f"{member.filename}: packed by method {member.compress_type}"
        if member.file_size > max(MAX_FILE_BYTES, _MOST_RATIO * member.compress_size):
            return f"{member.filename}: {member.file_size} bytes of {member.compress_size}"
    return ""


def _read_in_blocks(read: Callable[[int], bytes], size: int) -> bytes:
    """Read a packed file whose size is claimed: what is beyond it is not unpacked."""
    blocks = []
    left = size
    while left and (block := read(min(left, _BLOCK_BYTES))):
        blocks.append(block)
        left -= len(block)
    read(1)  # at the end the checksum is looked at
    return b"".join(blocks)


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
    nesting = 0
    inspector = _Inspector(content)
    rule = "archive: a batch must hold n x 3072 bytes and n labels"
    try:
        nesting = _count_nesting(content)
        pickled = inspector.load() if nesting <= _MOST_NESTING else {}
        labels = pickled[b"labels"]
        _, shape, _, _, raw = pickled[b"data"].state  # the state of a numpy array
        pixels = np.frombuffer(raw, np.uint8).reshape(-1, 3, 32, 32)
        shape_fits = shape == (len(labels), 3072)
        count_fits = len(pixels) == len(labels)
        # by type first: to compare or hash what is nested beyond all measure crashes the interpreter
        labels_fit = all(type(label) is int and label in range(10) for label in labels)
    except (*PICKLE_ERRORS, MemoryError) as error:
        _refuse_foreign(inspector)
        require(nesting <= _MOST_NESTING, "archive: a batch must hold few tuples", nesting, ORIGINAL_HINT)
        refuse(rule, f"{type(error).__name__}: {error}", ORIGINAL_HINT)
    _refuse_foreign(inspector)
    got = f"shape {shape}, {len(pixels)} pictures, {len(labels)} labels"
    require(shape_fits and count_fits and labels_fit, rule, got, ORIGINAL_HINT)
    return pixels.transpose(0, 2, 3, 1), labels


def _count_nesting(content: bytes) -> int:
    return sum(operation.name in _NESTING for operation, _, _ in pickletools.genops(content))


def _refuse_foreign(inspector: _Inspector) -> None:
    foreign = inspector.foreign
    require(not foreign, "archive: a batch holds arrays and names only", foreign, ORIGINAL_HINT)
