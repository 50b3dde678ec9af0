"""CIFAR-10 (Krizhevsky 2009) as class folders of PNG, from a local copy or the original download."""

import os
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image
from tqdm.auto import tqdm

from xnb.check import raise_again, require
from xnb.data.archives import ORIGINAL_HINT, ArchiveEntry, read_entries, unpickle_batch
from xnb.data.class_folders import image_folder
from xnb.data.download import download_file
from xnb.data.pictures import decode_rgb
from xnb.data.split import Split
from xnb.folders import NamedFile, cache_folder

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"  # as published beside the download
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCH_NAMES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
ABANDONED_SECONDS = 3600  # after these a half-made cache belongs to a killed process; making one takes a minute


class _CifarPicture(NamedTuple):
    """A picture and where it goes: `{part}/{label}/{name}.png`."""

    part: str
    label: str
    name: str
    image: Image.Image


def cifar10(
    source: str | Path | None = None,
    *,
    per_class: int | None = None,
) -> Split:
    """60,000 colour pictures of 32 x 32 in ten classes, as `image_folder` reads them.

    The first call brings them as PNG into `data/cache/CIFAR10/{train,test}/<class>/`, the next ones read that.
    Copies in JPEG are off by 6 of 255 on average: train and test on the same kind.

    Args:
        source: a folder or archive (tar, zip) that holds `{train,test}/<class>/<picture>`, or the original
            `cifar-10-python.tar.gz`; if omitted, what XNB_CIFAR10 names, else the download (170 MB). Used by
            the first call alone: remove the folder in the cache to bring another copy.
        per_class: how many pictures of each class to take in each part, the first ones; all by default.

    Raises:
        ConnectionError: the download broke off; the same call goes on from there.
        ValueError: the source is missing, damaged, incomplete, or holds links, paths that lead outside, or other
            files among its pictures; the cache then stays as it was.
    """
    home = cache_folder() / "CIFAR10"
    if not home.is_dir():
        local = source or os.environ.get("XNB_CIFAR10")
        original = cache_folder() / "cifar-10-python.tar.gz"
        _fill_cache(Path(local) if local else download_file(CIFAR10_URL, CIFAR10_MD5, original), home)
    return image_folder(home, per_class=per_class)


def _fill_cache(source: Path, home: Path) -> None:
    """Write all pictures beside `home`, then rename: `home` is whole or not there."""
    require(source.exists(), "cifar10: no such folder or archive", source.name, ORIGINAL_HINT)
    home.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(home.parent)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".CIFAR10-") as unfinished:
        folder = Path(unfinished) / "CIFAR10"
        classes: defaultdict[str, set[str]] = defaultdict(set)
        for picture in tqdm(_read_pictures(source), unit="picture", delay=2, leave=False):
            _write_picture(picture, folder)
            classes[picture.part].add(picture.label)
        _check_classes(classes["train"], classes["test"], source)
        _name_whole(folder, home)


def _name_whole(folder: Path, home: Path) -> None:
    """Give the folder its name, in one step: another process sees all pictures or no folder."""
    try:
        folder.rename(home)
    except OSError as error:
        # where another process has brought the same pictures meanwhile, they stay
        if not home.is_dir():
            raise_again(error)


def _remove_abandoned(folder: Path) -> None:
    """Remove caches that a killed process left half-made; younger ones may belong to a process that still runs."""
    for unfinished in folder.glob(".CIFAR10-*"):
        if time.time() - unfinished.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(unfinished, ignore_errors=True)


def _check_classes(train: set[str], test: set[str], source: Path) -> None:
    both = bool(train and test)
    require(both, "cifar10: the source must hold {train,test}/<class>/<picture>", source.name, ORIGINAL_HINT)
    unmatched = sorted(train ^ test)
    require(not unmatched, "cifar10: train and test must have the same classes", unmatched, ORIGINAL_HINT)


def _write_picture(picture: _CifarPicture, folder: Path) -> None:
    name = f"{picture.part}/{picture.label}/{picture.name}"
    file = folder / f"{name}.png"
    size = picture.image.size
    rule = f"cifar10: {name} must have 32 x 32 pixels"
    require(size == (32, 32), rule, size, ORIGINAL_HINT)
    require(not file.exists(), "cifar10: names must be unique within a class", name, ORIGINAL_HINT)
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedFile(file):
        picture.image.save(file, compress_level=1)


def _read_pictures(source: Path) -> Iterator[_CifarPicture]:
    """Every picture of a folder or an archive, be it class folders or the batches of the original."""
    batches = {}
    for path, content in _read_folder(source) if source.is_dir() else read_entries(source):
        if path.name in BATCH_NAMES:
            batches[path.name] = content
        elif _is_class_picture(path):
            part, label = path.parts[-3:-1]
            name = f"cifar10: {part}/{label}/{path.name}"
            image = decode_rgb(BytesIO(content), name)
            yield _CifarPicture(part, label, path.stem, image)
    if batches:
        yield from _number_batch_pictures(batches)


def _read_folder(folder: Path) -> Iterator[ArchiveEntry]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            path = PurePosixPath(file.relative_to(folder).as_posix())
            yield ArchiveEntry(path, file.read_bytes())


def _is_class_picture(path: PurePosixPath) -> bool:
    """Whether a file is a picture to bring; hidden ones, and whatever lies outside train/ and test/, are not."""
    is_hidden = any(name.startswith(".") for name in path.parts)
    if is_hidden or not {"train", "test"} & set(path.parts[:-1]):
        return False
    grandparent = path.parent.parent.name
    rule = "cifar10: files of train/ and test/ must lie in class folders"
    require(grandparent in ("train", "test"), rule, str(path), ORIGINAL_HINT)
    return True


def _number_batch_pictures(batches: dict[str, bytes]) -> Iterator[_CifarPicture]:
    """Pictures of the original, numbered within each class in its order: the names that copies in folders have."""
    missing = sorted(set(BATCH_NAMES) - set(batches))
    require(not missing, "cifar10: the original has six batches; some are missing", missing, ORIGINAL_HINT)
    counts: Counter[tuple[str, int]] = Counter()
    for name in BATCH_NAMES:
        part = "test" if name == "test_batch" else "train"
        pixels, labels = unpickle_batch(batches[name])
        for picture, label in zip(pixels, labels, strict=True):
            number = counts[part, label]
            counts[part, label] += 1
            image = Image.fromarray(picture)
            yield _CifarPicture(part, CIFAR10_CLASSES[label], f"{number:04d}", image)
