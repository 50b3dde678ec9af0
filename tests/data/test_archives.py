"""What comes out of a file that somebody made on purpose, or that broke on the way."""

import contextlib
import io
import pickle
import random
import struct
import tarfile
import zipfile
from typing import ClassVar

import numpy as np
import pytest

from xnb.data import archives
from xnb.data.archives import read_entries, unpickle_batch


class Python2(pickle._Pickler):
    """Writes as Python 2 did, which made the original: text and bytes alike, as BINSTRING."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def string(self, value):
        raw = value if isinstance(value, bytes) else value.encode("latin1")
        head = b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))
        self.write(head + raw)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = string


def pickled(value):
    out = io.BytesIO()
    Python2(out, protocol=2).dump(value)
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
GOOD = pickled({"batch_label": "training batch 1 of 5", "labels": [6, 9, 0], "data": PIXELS, "filenames": ["a"] * 3})


def test_a_batch_as_python_2_wrote_it():
    pictures, labels = unpickle_batch(GOOD)
    assert labels == [6, 9, 0]
    assert pictures.shape == (3, 32, 32, 3)
    assert (pictures.transpose(0, 3, 1, 2).reshape(3, 3072) == PIXELS).all()
    assert pictures[1, 0, 2, 0] == PIXELS[1, 2]  # the first 1,024 bytes are red, row by row
    assert pictures[1, 0, 2, 2] == PIXELS[1, 2048 + 2]


@pytest.mark.parametrize(
    "held",
    [
        {"data": PIXELS, "labels": [1, 2]},
        {"data": PIXELS, "labels": [1, 2, 10]},
        {"data": PIXELS[:, :3000], "labels": [1, 2, 3]},
        {"data": PIXELS.astype(np.float32), "labels": [1, 2, 3]},
        {"data": "no array", "labels": [1, 2, 3]},
        {"labels": [1, 2, 3]},
        [1, 2, 3],
    ],
    ids=["fewer labels", "label 10", "fewer pixels", "floats", "text", "no data", "a list"],
)
def test_other_contents_are_refused(held):
    with pytest.raises(ValueError, match=r"must hold n x 3072 bytes and n labels\n  got: .*\n  try: import os; "):
        unpickle_batch(pickled(held))


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("where", [lambda evil: evil, lambda evil: {"data": PIXELS, "labels": [1, 2, evil]}])
@pytest.mark.parametrize("name", ["open", "eval"])
def test_no_code_runs(where, name, tmp_path):
    written = tmp_path / "owned"
    evil = {"open": Runs(open, str(written), "w"), "eval": Runs(eval, f"open({str(written)!r}, 'w')")}[name]
    with pytest.raises(ValueError, match=r"arrays and names only\n  got: '[\w.]+\.(open|eval)'"):
        unpickle_batch(pickle.dumps(where(evil), protocol=2))
    assert not written.exists()


@pytest.mark.parametrize("flag", [1, 63])
def test_what_a_batch_says_about_its_type_is_not_obeyed(flag):
    """Numpy believes that these bytes are references to objects: at best an internal error, at worst a crash."""
    plain = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"  # the last three fields of a dtype: -1, -1, no flags
    assert GOOD.count(plain) == 1
    pictures, _ = unpickle_batch(GOOD.replace(plain, plain[:-2] + bytes([flag]) + b"t"))
    assert (pictures == unpickle_batch(GOOD)[0]).all()


@pytest.mark.parametrize("seed", range(40))
def test_a_mangled_batch_is_read_or_refused(seed):
    rng, content = random.Random(seed), bytearray(GOOD)
    for _ in range(2):
        content[rng.randrange(230)] = rng.randrange(256)  # everything before the pixels
    with contextlib.suppress(ValueError):
        unpickle_batch(bytes(content))
    with pytest.raises(ValueError, match="archive: a batch "):
        unpickle_batch(GOOD[: rng.randrange(len(GOOD))])


def test_an_archive_of_the_folder_itself(tmp_path):
    """`tar -C folder .` begins with a member named "."."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("hello")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "folder", arcname=".")
    assert [(str(path), content) for path, content in read_entries(tmp_path / "a.tar")] == [("a.txt", b"hello")]


def zipped(path, **changes):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "hello")
    content = bytearray(path.read_bytes())
    for offset, value in changes.get("at", {}).items():
        content[offset] = value
    if changes.get("encrypted"):
        content[6] |= 1
        content[content.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(content[: changes.get("cut")])
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"encrypted": True}, "encrypted"), ({"at": {36: 0}}, "Bad CRC-32"), ({"cut": 60}, "ReadError")],
    ids=["encrypted", "one byte changed", "cut short"],
)
def test_a_zip_that_cannot_be_read(changes, says, tmp_path):
    with pytest.raises(ValueError, match=rf"must be a whole tar or zip file\n  got: .*{says}"):
        list(read_entries(zipped(tmp_path / "a.zip", **changes)))


@pytest.mark.parametrize("name", ["a/../../b", "/b", "..\\b", "C:\\b", "C:/b"])
def test_ways_out(name, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match="paths must stay inside"):
        list(read_entries(tmp_path / "a.tar"))


def test_a_file_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 4)
    with pytest.raises(ValueError, match=r"a.txt must have at most 4 bytes\n  got: 5"):
        list(read_entries(zipped(tmp_path / "a.zip")))
