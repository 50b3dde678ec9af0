"""Files of the MedMNIST collection (Yang et al. 2023, doi:10.1038/s41597-022-01721-8): small medical pictures."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile, is_zipfile

import numpy as np
import torch
from numpy.typing import NDArray

from xnb.check import refuse, require
from xnb.data.archives import ARCHIVE_ERRORS, find_bomb
from xnb.data.download import download_file
from xnb.data.split import Part, Split
from xnb.folders import cache_folder
from xnb.types import Target

ZENODO_URL = "https://zenodo.org/records/10519652/files/{}.npz"  # version 3.0, doi:10.5281/zenodo.10519652


class _OfficialFile(NamedTuple):
    """A data set of the collection as its own table describes it."""

    md5: str
    classes: tuple[str, ...]


OFFICIAL_FILES = {
    "pneumoniamnist": _OfficialFile("28209eda62fecd6e6a2d98b1501bb15f", ("normal", "pneumonia")),
    "breastmnist": _OfficialFile("750601b1f35ba3300ea97c75c52ff8f6", ("malignant", "normal/benign")),
}
MEDMNIST_HINT = 'xnb.data.medmnist("pneumoniamnist", download=True)'


def medmnist(
    source: str | Path,
    *,
    test: str = "test",
    download: bool = False,
) -> Split:
    """Pictures `(N, C, H, W)` in [0, 1] of a MedMNIST file, one class each; grey ones have one channel.

    The training and the test part are the official ones. To choose settings, take `test="val"`: the official
    validation part then stands as `split.test`, and the pictures that are to judge the result stay unseen.

    Classes are named for PneumoniaMNIST and BreastMNIST, known by the beginning of the file's name
    (`breastmnist_224.npz`), and numbered for all others.

    Args:
        source: the path of an `.npz` file with `train_images`, `train_labels` and so on; with `download`, a name.
        test: which official part to test on, "test" or "val".
        download: bring "pneumoniamnist" (4 MB) or "breastmnist" (0.5 MB) into the cache unless it is there, and
            compare it with the official checksum. Files given by path are not compared.

    Raises:
        ConnectionError: the download broke off; the same call goes on from there.
        ValueError: no such file, another one than the official, keys missing, not bytes of pictures with one class.
    """
    require(test in ("test", "val"), 'medmnist: test must be "test" or "val"', test, 'test="val"')
    file = _fetch_official(str(source)) if download else Path(source)
    is_npz = file.is_file() and is_zipfile(file)
    require(is_npz, "medmnist: source must be an .npz file", file.name, MEDMNIST_HINT)
    test_images = f"{test}_images"
    test_labels = f"{test}_labels"
    arrays = load_arrays(file, ["train_images", "train_labels", test_images, test_labels])
    train = _convert_arrays(arrays["train_images"], arrays["train_labels"], file.name)
    tested = _convert_arrays(arrays[test_images], arrays[test_labels], file.name)
    # Classes of both parts together: one part alone may lack the last class.
    labels = torch.cat([train.y, tested.y])
    return Split(train, tested, _name_classes(file, labels))


def _name_classes(file: Path, labels: Target) -> tuple[str, ...]:
    """The published names of the classes of a known data set, and numbers for all others."""
    least = int(labels.min())
    most = int(labels.max())
    classes = tuple(map(str, range(most + 1)))
    for name, official in OFFICIAL_FILES.items():
        if file.stem.startswith(name):
            classes = official.classes
    fits = least >= 0 and most < len(classes)
    rule = f"medmnist: labels of {file.name} must be 0 to {len(classes) - 1}"
    require(fits, rule, [least, most], MEDMNIST_HINT)
    return classes


def _fetch_official(name: str) -> Path:
    """The file of that name in the cache, downloaded if need be. One that is not official is refused and left alone."""
    hint = f"one of {list(OFFICIAL_FILES)}"
    require(name in OFFICIAL_FILES, "medmnist: only these can be downloaded by name", name, hint)
    md5 = OFFICIAL_FILES[name].md5
    target = cache_folder() / f"{name}.npz"
    file = download_file(ZENODO_URL.format(name), md5, target)
    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False)
    present = digest.hexdigest()
    rule = f"medmnist: {name}.npz in the cache must have the MD5 sum {md5}"
    require(present == md5, rule, present, f"xnb.data.medmnist({str(file)!r})  # as it is; or remove it and call again")
    return file


def load_arrays(file: Path, keys: list[str]) -> dict[str, NDArray]:
    """The arrays of these names in a file of NumPy (`.npz`), read without running code.

    Raises:
        ValueError: the file is damaged, holds objects or what would fill the memory, or lacks a name.
    """
    _require_bounded(file)
    try:
        with np.load(file, allow_pickle=False) as archive:
            present = sorted(archive)
            arrays = {key: archive[key] for key in keys if key in archive}
    except (*ARCHIVE_ERRORS, ValueError, MemoryError) as error:
        what = f"{type(error).__name__}: {error}"
        refuse(f"medmnist: {file.name} must be a whole file of plain arrays", what, MEDMNIST_HINT)
    rule = f"medmnist: {file.name} must hold {', '.join(keys)}"
    require(len(arrays) == len(keys), rule, present, MEDMNIST_HINT)
    return arrays


def _require_bounded(file: Path) -> None:
    bomb = ""
    if file.is_file() and is_zipfile(file):
        # a directory that cannot be read is told of when the arrays are
        with suppress(*ARCHIVE_ERRORS), ZipFile(file) as archive:
            bomb = find_bomb(archive)
    require(not bomb, f"medmnist: {file.name} must not hold what would fill the memory", bomb, MEDMNIST_HINT)


def _convert_arrays(images: NDArray, labels: NDArray, name: str) -> Part:
    """Pictures and labels of the file of this name, refused unless they are bytes with one class a picture."""
    is_grey = images.ndim == 3
    is_colour = images.ndim == 4 and images.shape[-1] == 3
    are_bytes = (is_grey or is_colour) and images.dtype == np.uint8
    got = f"{images.dtype}{list(images.shape)}"
    rule = f"medmnist: pictures of {name} must be bytes (N, H, W) or (N, H, W, 3)"
    require(are_bytes, rule, got, MEDMNIST_HINT)
    n = len(images)
    # one number a picture: several, as of ChestMNIST, would need another loss and another target
    one_each = labels.shape in ((n,), (n, 1))
    are_integers = labels.dtype.kind in "iu"
    are_classes = one_each and are_integers and n > 0
    got = f"{labels.dtype}{list(labels.shape)} for {n} pictures"
    require(are_classes, f"medmnist: {name} must hold one class a picture", got, MEDMNIST_HINT)
    channels_first = images[:, None] if is_grey else images.transpose(0, 3, 1, 2)
    pixels = np.ascontiguousarray(channels_first)
    x = torch.from_numpy(pixels).float()
    y = torch.from_numpy(labels.reshape(-1).astype(np.int64))
    return Part(x.div_(255), y)
