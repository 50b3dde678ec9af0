"""Published files: from a folder, from the cache, from a server, and never another one than was published.

Tests: reproduce.sources
"""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from reproduce import sources
from reproduce.sources import find_file, read_sources
from xnb.models.published_files import Source, read_state

CONTENT = b"weights of a small network" * 100
SUM = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights/small.pt"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server of one file, a cache and a folder, all empty but the server."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "small.pt").write_bytes(CONTENT)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=partial(http.serve_forever, poll_interval=0.02))
    thread.start()
    url = f"http://127.0.0.1:{http.server_port}/small.pt"
    table = {NAME: Source(SUM, "MIT", "nowhere", url), "derived.npz": Source(SUM, "MIT", "somewhere", "")}
    monkeypatch.setattr(sources, "read_sources", lambda: table)
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XNB_PUBLISHED", str(tmp_path / "own"))
    yield tmp_path, table, url
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_file_is_brought_once_and_checked(published):
    folder, _, _ = published
    place = find_file(NAME)
    assert place == folder / "cache" / "published" / NAME
    assert place.read_bytes() == CONTENT
    (folder / "served" / "small.pt").unlink()
    assert find_file(NAME) == place


def test_an_own_folder_comes_first(published):
    folder, _, _ = published
    own = folder / "own" / NAME
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    assert find_file(NAME) == own
    assert sources.is_at_hand([NAME])


def test_another_file_is_refused_wherever_it_lies(published):
    folder, table, url = published
    own = folder / "own" / NAME
    own.parent.mkdir(parents=True)
    own.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"the SHA-256 sum of small\.pt must begin with"):
        find_file(NAME)
    own.unlink()
    table[NAME] = Source("0" * 64, "MIT", "nowhere", url)
    with pytest.raises(ValueError, match=r"small.pt must have the SHA-256 sum 0000"):
        find_file(NAME)
    assert not sources.is_at_hand([NAME])


def test_a_derived_file_says_where_it_has_to_lie(published):
    with pytest.raises(ValueError, match=r"no download of its own\n.*\n  try: XNB_PUBLISHED=path/to/folder make"):
        find_file("derived.npz")


def test_an_unknown_name_is_refused(published):
    with pytest.raises(ValueError, match="no published file of that name"):
        find_file("weights/smaller.pt")


def test_exact_pictures_are_read_from_the_small_file(published, monkeypatch):
    folder, table, _ = published
    name = "cifar10/cifar10_exact_test1017.npz"
    file = folder / "own" / name
    file.parent.mkdir(parents=True)
    pixels = np.arange(2 * 32 * 32 * 3, dtype=np.uint64).astype(np.uint8).reshape(2, 32, 32, 3)
    np.savez(file, x_test=pixels, y_test=np.array([3, 8], dtype=np.uint8))
    table[name] = Source(hashlib.sha256(file.read_bytes()).hexdigest(), "none", "somewhere", "")
    x, y = sources.read_exact_pictures(1)
    assert y.tolist() == [3]
    torch.testing.assert_close(x[0, :, 0, 1] * 255, torch.tensor([3.0, 4.0, 5.0]))


def test_a_checkpoint_is_read_without_running_it(published):
    folder, table, _ = published
    file = folder / "own" / NAME
    file.parent.mkdir(parents=True)
    torch.save({"state_dict": {"weight": torch.ones(2)}, "epoch": 3}, file)
    table[NAME] = Source(hashlib.sha256(file.read_bytes()).hexdigest(), "MIT", "nowhere", "")
    assert read_state(find_file(NAME))["weight"].tolist() == [1, 1]


def test_every_source_says_what_it_is():
    for name, source in read_sources().items():
        assert len(source.sha256) == 64, name
        assert min(map(len, (source.licence, source.origin))) > 2, name
        assert not source.url or source.url.startswith("https://"), name
