"""`cifar10` from sources that are not as they should be: the cache is whole and right, or not there."""

import io
import os
import pickle
import time
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from xnb import data
from xnb.data.cifar import BATCH_NAMES, CIFAR10_CLASSES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XNB_CIFAR10", raising=False)
    return tmp_path / "cache"


def png(seed=0, side=32, image=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    (image or Image.fromarray(pixels)).save(out, "PNG")
    return out.getvalue()


GOOD = {f"CIFAR10/{part}/{label}/{i}.png": png(i) for part in ("train", "test") for label in "ab" for i in range(2)}


def archive(path, files):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def without(text):
    return {name: content for name, content in GOOD.items() if text not in name}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (without("test/"), r"must hold \{train,test\}/<class>/<picture>"),
        (without("test/b"), r"must have the same classes\n  got: \['b'\]"),
        (GOOD | {"CIFAR10/test/a/9.png": png(side=16)}, r"test/a/9 must have 32 x 32 pixels\n  got: \(16, 16\)"),
        (GOOD | {"CIFAR10/test/a/1.jpg": png()}, r"names must be unique within a class\n  got: 'test/a/1'"),
        (GOOD | {"CIFAR10/test/a/more/1.png": png()}, r"must lie in class folders\n  got: 'CIFAR10/test/a/more/1.png'"),
        (GOOD | {"CIFAR10/test/1.png": png()}, r"must lie in class folders\n  got: 'CIFAR10/test/1.png'"),
        (GOOD | {"CIFAR10/test/a/notes.txt": b"hello"}, r"cifar10: test/a/notes.txt must be a picture"),
    ],
    ids=["no test part", "class missing", "other size", "same name", "nested", "no class", "text"],
)
def test_a_bad_source_is_refused_and_a_good_one_taken_next(files, says, tmp_path, cache):
    with pytest.raises(ValueError, match=says):
        data.cifar10(archive(tmp_path / "bad.zip", files))
    assert list(cache.iterdir()) == []
    assert len(data.cifar10(archive(tmp_path / "good.zip", GOOD)).train) == 4


def test_what_lies_beside_is_left_out(tmp_path):
    beside = {"README.md": b"read", "CIFAR10/labels.txt": b"a b", "__MACOSX/CIFAR10/train/a/._0.png": b"mac"}
    hidden = {"CIFAR10/train/a/.DS_Store": b"mac", "CIFAR10/train/.thumbnails/a/0.png": b"no picture"}
    assert len(data.cifar10(archive(tmp_path / "a.zip", GOOD | beside | hidden)).train) == 4


def test_a_hidden_folder_may_be_the_source(tmp_path):
    for name, content in GOOD.items():
        file = tmp_path / ".mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert len(data.cifar10(tmp_path / ".mine").train) == 4


def test_transparency_is_laid_on_white_as_in_image_folder(tmp_path):
    clear = {"CIFAR10/train/a/0.png": png(image=Image.new("RGBA", (32, 32), (255, 0, 0, 0)))}
    assert torch.equal(data.cifar10(archive(tmp_path / "a.zip", GOOD | clear)).train.x[0], torch.ones(3, 32, 32))


def original(folder, names=BATCH_NAMES):
    """Batches of 20 pictures, two of each class, in the order of the labels; pixels tell the batch and the row."""
    folder.mkdir()
    for name in names:
        pixels = np.full((20, 3072), 20 * BATCH_NAMES.index(name), np.uint8) + np.arange(20, dtype=np.uint8)[:, None]
        held = pickle.dumps({b"data": pixels, b"labels": [*range(10), *range(10)]}, protocol=3)
        (folder / name).write_bytes(held.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    return folder


def test_the_original_keeps_its_order_whatever_that_of_its_files(tmp_path, cache):
    """So that `cat/0007.png` is the same picture as in copies that number within the class."""
    backwards = archive(
        tmp_path / "a.zip",
        {
            f"cifar-10-batches-py/{name}": (original(tmp_path / name, [name]) / name).read_bytes()
            for name in BATCH_NAMES[::-1]
        },
    )
    split = data.cifar10(backwards)
    assert sorted(file.name for file in (cache / "CIFAR10" / "train" / "cat").iterdir())[:2] == ["0000.png", "0001.png"]
    cats = split.train.x[split.train.y == CIFAR10_CLASSES.index("cat"), 0, 0, 0].mul(255).round().int()
    assert cats.tolist() == [3, 13, 23, 33, 43, 53, 63, 73, 83, 93]


def test_an_original_with_missing_batches_is_refused(tmp_path, cache):
    with pytest.raises(ValueError, match=r"six batches; some are missing\n  got: \['data_batch_2', 'test_batch'\]"):
        data.cifar10(
            original(tmp_path / "half", [name for name in BATCH_NAMES if name not in ("data_batch_2", "test_batch")])
        )
    assert list(cache.iterdir()) == []


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path, cache):
    for name, age in ((".CIFAR10-killed", 7200), (".CIFAR10-running", 60)):
        (cache / name / "CIFAR10").mkdir(parents=True)
        os.utime(cache / name, (time.time() - age,) * 2)
    data.cifar10(archive(tmp_path / "a.zip", GOOD))
    assert sorted(entry.name for entry in cache.iterdir()) == [".CIFAR10-running", "CIFAR10"]
