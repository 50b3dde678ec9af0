"""Files that are cut short, damaged, or made to do harm: each is refused in words that name it, and nothing is run."""

import json
import lzma
import pickle
import re
import struct
import tarfile
import zipfile
import zlib

import pytest
import torch
from torch import nn

from xnb import storage
from xnb.comparison import store, tables
from xnb.data.archives import read_entries
from xnb.data.medical import load_arrays
from xnb.training import weight_folder

LAYER = nn.Linear(3, 2)
LARGE = 300 << 20  # bytes: more than a file of an archive may have


class Runs:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def weights(folder):
    storage.write_tensors(folder / "net.safetensors", LAYER.state_dict(), {"seed": 0})
    return folder / "net.safetensors"


def with_header(content, data=bytes(32), length=None):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def header(**weight):
    facts = {"facts": '{"seed": 0}'}
    bias = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {
        "__metadata__": facts,
        "bias": bias,
        "weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]} | weight,
    }


def with_facts(text):
    return header() | {"__metadata__": {"facts": text}}


SPOILT = {
    "a pickle": None,
    "header of no length": with_header(header(), length=0),
    "header of 2**63 bytes": with_header(header(), length=2**63),
    "header longer than the file": with_header(header(), length=90_000_000),
    "header of other length": with_header(header(), length=100),
    "NaN in a shape": with_header(header(shape=[float("nan"), 3])),
    "negative shape": with_header(header(shape=[-2, -3])),
    "shape of 2**80": with_header(header(shape=[2**40, 2**40])),
    "beyond the end": with_header(header(data_offsets=[8, 2**50])),
    "backwards": with_header(header(data_offsets=[32, 8])),
    "over another": with_header(header(data_offsets=[0, 24])),
    "unknown type": with_header(header(dtype="F99")),
    "complex": with_header(header(dtype="C64", shape=[3])),
    "whole numbers": with_header(header(dtype="I32")),
    "a list": with_header(b"[1, 2]"),
    "nested": with_header(b"[" * 100_000),
    "facts that are no JSON": with_header(with_facts("{oops")),
    "facts that are nested": with_header(with_facts("[" * 100_000)),
    "facts that are a list": with_header(with_facts("[1]")),
    "zeros": bytes(300),
}


@pytest.mark.parametrize("name", SPOILT)
def test_weights_that_are_none(name, tmp_path, tally):
    owned = tmp_path / "owned"
    path = weights(tmp_path)
    path.write_bytes(SPOILT[name] or pickle.dumps(Runs(owned)))
    before = {key: value.clone() for key, value in LAYER.state_dict().items()}
    with pytest.raises(ValueError, match=r"^weights: .*\n  got: .*\n  try: "):
        storage.load_weights(LAYER, path)
    assert not owned.exists()
    assert all(torch.equal(value, before[key]) for key, value in LAYER.state_dict().items())
    tally("files refused")


def test_weights_of_every_length(tmp_path, tally):
    """None but the whole file is taken."""
    path = weights(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"weights: the file is damaged\n  got: 'net.safetensors: "):
            storage.read_tensors(path)
        tally("files refused")
    path.write_bytes(content)
    storage.load_weights(LAYER, path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "[" * 100_000, "\0" * 9])
def test_a_manifest_that_is_none(text, tmp_path, tally):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"weights: the file is damaged\n  got: .manifest.json: .*\n  try: remove"):
        weight_folder.write_facts(tmp_path, "a", {}, "a")
    assert (tmp_path / "manifest.json").read_text() == text
    tally("files refused")


@pytest.mark.parametrize("line", [b"{", b"[1]", b"{}", b"\0" * 50, b"[" * 100_000])
def test_a_part_of_a_comparison_that_is_damaged(line, tmp_path, tally):
    part = tmp_path / "c.parts" / "a.jsonl"
    part.parent.mkdir()
    part.write_bytes(b'{"images": []}\n' + line + b"\n")
    with pytest.raises(ValueError, match=r"compare: a part of the comparison is damaged\n  got: 'a.jsonl, byte 15'"):
        store.Store(tmp_path / "c.parquet", {"images": []})
    tally("files refused")


@pytest.mark.parametrize("length", [0, 3, 50, -9, -1])
def test_a_table_that_is_cut_short(length, tmp_path, tally):
    path = tmp_path / "c.parquet"
    tables.write_table(path, {"images": []}, [])
    for file in (path, tmp_path / "c.seconds.parquet"):
        content = file.read_bytes()
        file.write_bytes(content[:length])
        name = re.escape(file.name)
        with pytest.raises(ValueError, match=rf"whole Parquet file\n  got: .{name}: .*\n  try: remove {name}"):
            tables.read_comparison(path)
        file.write_bytes(content)
        tally("files refused")


def tar(path, info, content=b""):
    info.size = info.size or len(content)
    with lzma.open(path, "wb", preset=0) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT) + content)
    return path


LINKS = {"symbolic link": b"2", "hard link": b"1", "character device": b"3", "block device": b"4", "pipe": b"6"}
HEADS = {"name": b"L", "link": b"K", "header": b"x", "global header": b"g", "file": b"0", "sparse file": b"S"}


@pytest.mark.parametrize("kind", LINKS)
def test_what_is_no_file_in_a_tar(kind, tmp_path, tally):
    info = tarfile.TarInfo("train/a/1.png")
    info.type, info.linkname = LINKS[kind], "/etc/passwd"
    with pytest.raises(ValueError, match="must hold files only, no links or devices"):
        list(read_entries(tar(tmp_path / "a.tar.xz", info)))
    tally("files refused")


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "..\\a", "C:\\a", "\\\\host\\a"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_ways_out_of_an_archive(kind, name, tmp_path, tally):
    path = tmp_path / "a"
    if kind == "tar":
        tar(path, tarfile.TarInfo(name))
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(name, b"")
    with pytest.raises(ValueError, match="archive: paths must stay inside"):
        list(read_entries(path))
    tally("files refused")


def test_a_link_in_a_zip(tmp_path, tally):
    info = zipfile.ZipInfo("a")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match="must hold files only, no links or devices"):
        list(read_entries(tmp_path / "a.zip"))
    tally("files refused")


@pytest.mark.parametrize("kind", HEADS)
def test_a_record_of_a_tar_that_would_fill_the_memory(kind, tmp_path, tally):
    """A long name is read into memory by tarfile itself."""
    info = tarfile.TarInfo("a")
    info.type, info.size = HEADS[kind], LARGE
    with pytest.raises(ValueError, match=rf"archive: a must have at most \d+ bytes\n  got: {LARGE}"):
        list(read_entries(tar(tmp_path / "a.tar.xz", info)))
    tally("files refused")


def lie(path, size, packing=zipfile.ZIP_DEFLATED):
    """A zip file whose member says that it has 100 bytes, and has more."""
    with zipfile.ZipFile(path, "w", packing) as file, file.open("a.npy", "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    content = bytearray(path.read_bytes())
    for start in (22, content.find(b"PK\1\2") + 24):
        content[start : start + 4] = struct.pack("<I", 100)
    path.write_bytes(content)
    return path


def test_a_zip_that_says_it_is_small_is_unpacked_no_further(tmp_path, monkeypatch, tally):
    unpacked = []
    plain = zlib.decompressobj

    class Counted:
        def __init__(self, *arguments):
            self.inner = plain(*arguments)

        def decompress(self, *arguments):
            block = self.inner.decompress(*arguments)
            unpacked.append(len(block))
            return block

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    path = lie(tmp_path / "a.zip", 8 << 20)
    with pytest.raises(ValueError, match=r"must be a whole tar or zip file\n  got: .*Bad CRC-32"):
        list(read_entries(path))
    assert sum(unpacked) < 100_000
    tally("files refused")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_without_a_bound(packing, tmp_path, tally):
    path = lie(tmp_path / "a.npz", 8 << 20, packing)
    with pytest.raises(ValueError, match="files of a zip must be stored or deflated"):
        list(read_entries(path))
    with pytest.raises(ValueError, match="must not hold what would fill the memory"):
        load_arrays(path, ["a"])
    tally("files refused", 2)


def test_many_files_that_fill_the_disk_together(tmp_path, monkeypatch, tally):
    monkeypatch.setattr("xnb.data.archives.MAX_ALL_BYTES", 10)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in "abc":
            file.writestr(name, b"1234")
    with pytest.raises(ValueError, match=r"at most 10 bytes together\n  got: '12 bytes until c'"):
        list(read_entries(tmp_path / "a.zip"))
    tally("files refused")
