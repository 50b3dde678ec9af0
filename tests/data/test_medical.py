"""Files of MedMNIST, made up and real: read as published, or refused."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from xnb import data, folders
from xnb.data import medical

REAL = folders.ROOT.parent / "shared" / "data" / "medical" / "pneumoniamnist_28.npz"
COUNTS = {"train": 6, "val": 3, "test": 4}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def arrays(*trailing, classes=2, side=28):
    rng = np.random.default_rng(0)
    content = {}
    for part, n in COUNTS.items():
        content[f"{part}_images"] = rng.integers(0, 256, (n, side, side, *trailing), dtype=np.uint8)
        content[f"{part}_labels"] = np.arange(n, dtype=np.uint8)[:, None] % classes
    return content


def stored(path, content):
    np.savez(path, **content)
    return path


def test_grey_pictures(tmp_path):
    content = arrays()
    split = data.medmnist(stored(tmp_path / "pneumoniamnist.npz", content))
    assert split.train.x.shape == (6, 1, 28, 28)
    assert split.train.x.dtype == torch.float32
    assert torch.equal(split.test.x[:, 0], torch.from_numpy(content["test_images"]) / 255)
    assert split.test.y.tolist() == [0, 1, 0, 1]
    assert split.test.y.dtype == torch.int64
    assert split.classes == ("normal", "pneumonia")


def test_colour_pictures_of_another_data_set(tmp_path):
    content = arrays(3, classes=3, side=64)
    split = data.medmnist(str(stored(tmp_path / "bloodmnist_64.npz", content)))
    assert split.test.x.shape == (4, 3, 64, 64)
    assert torch.equal(split.train.x[:, 2], torch.from_numpy(content["train_images"][..., 2]) / 255)
    assert split.classes == ("0", "1", "2")


def test_validation_part_for_choosing_settings(tmp_path):
    content = arrays()
    path = stored(tmp_path / "breastmnist_28.npz", content)
    split = data.medmnist(path, test="val")
    assert torch.equal(split.test.x[:, 0], torch.from_numpy(content["val_images"]) / 255)
    assert torch.equal(split.train.x, data.medmnist(path).train.x)
    assert split.classes == ("malignant", "normal/benign")
    with pytest.raises(ValueError, match='must be "test" or "val"\n  got: \'train\''):
        data.medmnist(path, test="train")


def test_a_flat_row_of_labels(tmp_path):
    content = arrays()
    content |= {key: content[key][:, 0] for key in content if key.endswith("labels")}
    assert data.medmnist(stored(tmp_path / "a.npz", content)).train.y.tolist() == [0, 1] * 3


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/medical/pneumoniamnist_28.npz")
def test_real_pneumonia_pictures():
    """Counts as published; no picture is in two parts."""
    split, valid = data.medmnist(REAL), data.medmnist(REAL, test="val")
    assert split.classes == ("normal", "pneumonia")
    parts = split.train, valid.test, split.test
    assert [part.y.bincount().tolist() for part in parts] == [[1214, 3494], [135, 389], [234, 390]]
    assert split.train.x.shape == (4708, 1, 28, 28)
    assert (float(split.train.x.min()), float(split.train.x.max())) == (0, 1)
    train, val, test = ({x.numpy().tobytes() for x in part.x} for part in parts)
    assert not test & (train | val)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train_images": None}, r"must hold train_images, train_labels, test_images, test_labels\n  got: \['test_im"),
        (
            {"train_images": np.zeros((6, 28), np.uint8)},
            r"bytes \(N, H, W\) or \(N, H, W, 3\)\n  got: 'uint8\[6, 28\]'",
        ),
        ({"test_images": np.zeros((4, 28, 28, 28), np.uint8)}, r"got: 'uint8\[4, 28, 28, 28\]'"),
        ({"train_images": np.zeros((6, 28, 28))}, r"got: 'float64\[6, 28, 28\]'"),
        ({"train_labels": np.zeros((6, 14), np.uint8)}, r"one class a picture\n  got: 'uint8\[6, 14\] for 6 pictures'"),
        ({"train_labels": np.zeros((5, 1), np.uint8)}, r"one class a picture\n  got: 'uint8\[5, 1\] for 6 pictures'"),
        (
            {"train_labels": np.full((6, 1), 2, np.uint8)},
            r"labels of pneumoniamnist.npz must be 0 to 1\n  got: \[0, 2\]",
        ),
        ({"test_labels": np.full((4, 1), -1)}, r"labels of pneumoniamnist.npz must be 0 to 1\n  got: \[-1, 1\]"),
        ({"test_images": np.array([{}] * 4)}, r"whole file of plain arrays\n  got: 'ValueError: Object arrays"),
    ],
)
def test_other_contents_are_refused(change, says, tmp_path):
    content = {key: value for key, value in (arrays() | change).items() if value is not None}
    with pytest.raises(ValueError, match=says):
        data.medmnist(stored(tmp_path / "pneumoniamnist.npz", content))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be an \.npz file\n  got: 'no.npz'\n  try: xnb.data.medmnist\("):
        data.medmnist(tmp_path / "no.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"must be an \.npz file"):
        data.medmnist(tmp_path / "a.npz")
    whole = stored(tmp_path / "b.npz", arrays()).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:200] + bytes(2000) + whole[2200:])
    with pytest.raises(ValueError, match=r"b.npz must be a whole file of plain arrays\n  got: .BadZipFile"):
        data.medmnist(tmp_path / "b.npz")


def test_by_name_from_the_official_place(tmp_path, cache, monkeypatch):
    """A first call brings the file, a second one reads it; here a folder stands for the server."""
    served = stored(tmp_path / "breastmnist.npz", arrays())
    md5 = hashlib.md5(served.read_bytes()).hexdigest()
    assert medical.ZENODO_URL.format("breastmnist") == "https://zenodo.org/records/10519652/files/breastmnist.npz"
    monkeypatch.setattr(medical, "ZENODO_URL", f"{tmp_path.as_uri()}/{{}}.npz")
    monkeypatch.setitem(medical.OFFICIAL_FILES, "breastmnist", medical.OFFICIAL_FILES["breastmnist"]._replace(md5=md5))
    one = data.medmnist("breastmnist", download=True)
    served.unlink()
    assert torch.equal(data.medmnist("breastmnist", download=True).train.x, one.train.x)
    assert (cache / "breastmnist.npz").exists()


def test_another_file_in_the_cache_is_refused_and_left_alone(cache):
    file = stored(cache / "pneumoniamnist.npz", arrays())
    before = file.read_bytes()
    found = hashlib.md5(before).hexdigest()
    hint = r"xnb.data.medmnist\(.*or remove it and call again"
    says = rf"must have the MD5 sum 28209eda62fecd6e6a2d98b1501bb15f\n  got: '{found}'\n  try: {hint}"
    with pytest.raises(ValueError, match=says):
        data.medmnist("pneumoniamnist", download=True)
    assert file.read_bytes() == before
    assert len(data.medmnist(file).train) == 6


def test_only_known_names_are_downloaded():
    with pytest.raises(ValueError, match=r"got: 'bloodmnist'\n  try: one of \['pneumoniamnist', 'breastmnist'\]"):
        data.medmnist("bloodmnist", download=True)


def test_the_page_on_the_data_names_the_checksums():
    text = (folders.DATA / "README.md").read_text()
    assert all(known.md5 in text for known in medical.OFFICIAL_FILES.values())


def test_grey_pictures_in_class_folders_get_three_equal_channels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    for part in ("train", "test"):
        for name in ("benign", "malignant"):
            (tmp_path / "scans" / part / name).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / "scans" / part / name / "1.png")
    part = data.image_folder(tmp_path / "scans").train
    grey = data.Part(part.x[:, :1], part.y)
    assert torch.equal(part.x, grey.x.expand(-1, 3, -1, -1))
    assert torch.equal(grey.x[0, 0], torch.from_numpy(pixels) / 255)
