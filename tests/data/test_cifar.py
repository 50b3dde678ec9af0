"""`cifar10` from every kind of source; what it downloads is taken up, checked, and whole or not there."""

import functools
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from xnb import data, folders
from xnb.data import cifar
from xnb.data.archives import unpickle_batch
from xnb.data.download import download_file

REAL = folders.ROOT.parent / "shared" / "data" / "cifar10" / "cifar10_imagefolder_200_100.tar.xz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XNB_CIFAR10", raising=False)
    return tmp_path / "cache"


def encoded(seed=0, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(out, kind)
    return out.getvalue()


FILES = {
    f"CIFAR10/{part}/{label}/{i}.png": encoded(i) for part in ("train", "test") for label in "ab" for i in range(2)
}


def tar(path, files=FILES, *, mode="w:gz", extra=()):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


def left(cache):
    return [p for p in cache.rglob("*") if p.is_file()] if cache.exists() else []


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_from_a_tar(mode, tmp_path):
    split = data.cifar10(tar(tmp_path / "a.tar", mode=mode))
    assert split.classes == ("a", "b")
    assert len(split.train) == len(split.test) == 4
    expected = torch.tensor(np.array(Image.open(io.BytesIO(encoded(1))))).permute(2, 0, 1) / 255
    torch.testing.assert_close(split.train.x[1], expected)


def test_from_a_zip_a_folder_and_the_environment(tmp_path, cache, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    one = data.cifar10(tmp_path / "a.zip")
    cache.rename(tmp_path / "first")
    monkeypatch.setenv("XNB_CIFAR10", str(tmp_path / "first" / "CIFAR10"))
    assert torch.equal(data.cifar10().train.x, one.train.x)


def test_jpeg_becomes_png_and_the_second_call_reads_the_cache(tmp_path, cache):
    files = {name.replace("png", "jpg"): encoded(kind="JPEG") for name in FILES}
    source = tar(tmp_path / "a.tar.gz", files)
    one = data.cifar10(source)
    assert {file.suffix for file in left(cache)} == {".png"}
    source.unlink()
    assert torch.equal(data.cifar10().train.x, one.train.x)


def link(name, target, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: tar(p, {"../evil.png": encoded()}), r"paths must stay inside\n  got: '../evil.png'"),
        (lambda p: tar(p, {"/evil.png": encoded()}), "paths must stay inside"),
        (lambda p: tar(p, extra=[link("CIFAR10/x", "/etc/passwd", tarfile.SYMTYPE)]), "no links or devices"),
        (lambda p: tar(p, extra=[link("CIFAR10/x", "CIFAR10/train/a/0.png", tarfile.LNKTYPE)]), "no links or devices"),
        (lambda p: tar(p, {"CIFAR10/train/a/0.png": b"no picture"}), r"train/a/0.png must be a picture"),
        (lambda p: tar(p, {"readme.txt": b"hello"}), r"must hold \{train,test\}/<class>/<picture>"),
        (lambda p: p, r"no such folder or archive\n  got: 'a.tar.gz'\n  try: import os; .*cifar10\(\)"),
        (lambda p: p.write_bytes(b"garbage") and p, "must be a whole tar or zip file"),
    ],
)
def test_bad_sources_leave_nothing(make, says, tmp_path, cache):
    source = make(tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match=says):
        data.cifar10(source)
    assert left(cache) == []
    assert {p.name for p in tmp_path.iterdir()} <= {"a.tar.gz", "cache"}


def test_zip_with_a_way_out_or_a_link(tmp_path, cache):
    for name, attributes, says in (("../x.png", 0, "stay inside"), ("x", 0o120777 << 16, "no links")):
        info = zipfile.ZipInfo(name)
        info.external_attr = attributes
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(info, "target")
        with pytest.raises(ValueError, match=says):
            data.cifar10(tmp_path / "a.zip")
    assert left(cache) == []


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_truncated_archive(mode, tmp_path, cache):
    source = tar(tmp_path / "a.tar", mode=mode)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(ValueError, match="must be a whole tar or zip file"):
        data.cifar10(source)
    assert left(cache) == []


def test_interrupted_bringing_is_taken_up_again(tmp_path, cache, monkeypatch):
    source, save = tar(tmp_path / "a.tar.gz"), Image.Image.save
    calls = iter(range(100))

    def interrupted(self, *args, **knobs):
        if next(calls) == 3:
            raise KeyboardInterrupt
        save(self, *args, **knobs)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.cifar10(source)
    assert left(cache) == []
    assert len(data.cifar10(source).train) == 4


def original(tmp_path):
    """An archive laid out as the original: Python 2 pickles of numpy arrays, names as bytes. Protocol 3 keeps
    bytes as Python 2 did."""
    files = {}
    for n, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels = np.random.default_rng(n).integers(0, 256, (10, 3072), dtype=np.uint8)
        held = pickle.dumps({b"data": pixels, b"labels": list(range(10))}, protocol=3)
        held = held.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        files[f"cifar-10-batches-py/{name}"] = held
    return tar(tmp_path / "cifar-10-python.tar.gz", files)


def test_from_the_original_batches(tmp_path):
    split = data.cifar10(original(tmp_path))
    assert split.classes == cifar.CIFAR10_CLASSES
    assert (len(split.train), len(split.test)) == (50, 10)
    pixels = np.random.default_rng(5).integers(0, 256, (10, 3072), dtype=np.uint8)
    torch.testing.assert_close(split.test.x[3], torch.tensor(pixels[3]).view(3, 32, 32) / 255)


def test_a_batch_cannot_run_code():
    class Evil:
        def __reduce__(self):
            return (print, ("owned",))

    with pytest.raises(ValueError, match=r"arrays and names only\n  got: '(builtins|__builtin__).print'"):
        unpickle_batch(pickle.dumps(Evil(), protocol=2))


def test_constants_are_those_of_torchvision():
    assert CIFAR10.url == cifar.CIFAR10_URL
    assert CIFAR10.tgz_md5 == cifar.CIFAR10_MD5


class Server(BaseHTTPRequestHandler):
    """Serves `content` with ranges; breaks off after `limit` bytes of an answer while `limit` is set."""

    def __init__(self, shared, *args):
        self.shared = shared
        super().__init__(*args)

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.shared["ranges"] else 0
        content = self.shared["content"]
        self.shared["asked"].append(start)
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.shared["limit"]])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    content = np.random.default_rng(0).bytes(900_000)
    shared = {"content": content, "limit": None, "asked": [], "ranges": True}
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, shared))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    shared |= {"url": f"http://127.0.0.1:{http.server_port}/file", "md5": hashlib.md5(content).hexdigest()}
    yield shared
    http.shutdown()
    http.server_close()
    thread.join()


def test_download_is_taken_up_where_it_broke_off(server, tmp_path):
    server["limit"] = 400_000
    with pytest.raises(ConnectionError, match=r"broke off after 400000 bytes"):
        download_file(server["url"], server["md5"], tmp_path / "file")
    assert not (tmp_path / "file").exists()
    server["limit"] = None
    assert download_file(server["url"], server["md5"], tmp_path / "file").read_bytes() == server["content"]
    assert server["asked"] == [0, 400_000]
    download_file(server["url"], server["md5"], tmp_path / "file")
    assert server["asked"] == [0, 400_000]  # a whole file is not asked for again


def test_download_from_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"old")
    server["ranges"] = False
    assert download_file(server["url"], server["md5"], tmp_path / "file").read_bytes() == server["content"]


def test_complete_part_needs_only_its_checksum(server, tmp_path):
    (tmp_path / "file.part").write_bytes(server["content"])
    assert download_file(server["url"], server["md5"], tmp_path / "file").exists()


def test_wrong_checksum_is_removed(server, tmp_path):
    with pytest.raises(ValueError, match=r"file must have the MD5 sum 0{32}\n  got: '[0-9a-f]{32}'"):
        download_file(server["url"], "0" * 32, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_unreachable_server(tmp_path):
    with pytest.raises(ConnectionError, match=r"broke off after 0 bytes"):
        download_file("http://127.0.0.1:9/file", "", tmp_path / "file")


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/cifar10/cifar10_imagefolder_200_100.tar.xz")
def test_a_real_archive():
    split = data.cifar10(REAL, per_class=50)
    assert split.classes == cifar.CIFAR10_CLASSES
    assert split.train.x.shape == (500, 3, 32, 32)
    assert split.test.y.bincount().tolist() == [50] * 10
    assert 0.4 < float(split.train.x.mean()) < 0.55  # CIFAR-10's mean is 0.47
