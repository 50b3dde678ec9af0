"""Files of the MedMNIST collection (Yang et al. 2023, doi:10.1038/s41597-022-01721-8): small medical pictures."""

import hashlib
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.download import download_file as bring
from xnb.data.split import Part, Split
from xnb.folders import cache_folder

ZENODO_URL = "https://zenodo.org/records/10519652/files/{}.npz"  # version 3.0, doi:10.5281/zenodo.10519652


class _OfficialFile(NamedTuple):
    """What the collection's own table says about one of its data sets."""

    md5: str
    classes: tuple[str, ...]


OFFICIAL_FILES = {
    "pneumoniamnist": _OfficialFile("28209eda62fecd6e6a2d98b1501bb15f", ("normal", "pneumonia")),
    "breastmnist": _OfficialFile("750601b1f35ba3300ea97c75c52ff8f6", ("malignant", "normal/benign")),
}
MEDMNIST_HINT = 'data.medmnist("pneumoniamnist", download=True)'


def medmnist(source: str | Path, *, test: str = "test", download: bool = False) -> Split:
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
    require(file.is_file() and is_zipfile(file), "medmnist: source must be an .npz file", file.name, MEDMNIST_HINT)
    arrays = _load_arrays(file, [f"{part}_{what}" for part in ("train", test) for what in ("images", "labels")])
    train, judged = (_convert_arrays(*arrays[k : k + 2], file.name) for k in (0, 2))
    least, most = (int(value) for value in torch.cat([train.y, judged.y]).aminmax())
    classes = next((known.classes for name, known in OFFICIAL_FILES.items() if file.stem.startswith(name)), range(most + 1))
    fits = least >= 0 and most < len(classes)
    require(fits, f"medmnist: labels of {file.name} must be 0 to {len(classes) - 1}", [least, most], MEDMNIST_HINT)
    return Split(train, judged, tuple(map(str, classes)))


def _fetch_official(name: str) -> Path:
    """The file of that name in the cache, brought if need be. One that is not official is refused and left alone."""
    require(name in OFFICIAL_FILES, "medmnist: only these can be downloaded by name", name, f"one of {', '.join(OFFICIAL_FILES)}")
    file = bring(ZENODO_URL.format(name), OFFICIAL_FILES[name].md5, cache_folder() / f"{name}.npz")
    found = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    rule = f"medmnist: {name}.npz in the cache must have the MD5 sum {OFFICIAL_FILES[name].md5}"
    require(found == OFFICIAL_FILES[name].md5, rule, found, "remove it, or read it by path: data.medmnist('path/to/it.npz')")
    return file


def _load_arrays(file: Path, keys: list[str]) -> list[NDArray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            found, arrays = sorted(archive), [archive[key] for key in keys if key in archive]
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        what = f"{type(error).__name__}: {error}"
        require(False, f"medmnist: {file.name} must be a whole file of plain arrays", what, MEDMNIST_HINT)
    require(len(arrays) == len(keys), f"medmnist: {file.name} must hold {', '.join(keys)}", found, MEDMNIST_HINT)
    return arrays


def _convert_arrays(images: NDArray, labels: NDArray, name: str) -> Part:
    form = f"{images.dtype}{list(images.shape)}"
    grey, colour = images.ndim == 3, images.ndim == 4 and images.shape[-1] == 3
    readable = (grey or colour) and images.dtype == np.uint8
    require(readable, f"medmnist: pictures of {name} must be bytes (N, H, W) or (N, H, W, 3)", form, MEDMNIST_HINT)
    single = labels.shape in ((len(images),), (len(images), 1)) and labels.dtype.kind in "iu" and len(images) > 0
    form = f"{labels.dtype}{list(labels.shape)} for {len(images)} pictures"
    require(single, f"medmnist: {name} must hold one class a picture", form, MEDMNIST_HINT)
    pixels = images[:, None] if grey else images.transpose(0, 3, 1, 2)
    y = torch.from_numpy(labels.reshape(-1).astype(np.int64))
    return Part(torch.from_numpy(np.ascontiguousarray(pixels)).float().div_(255), y)
