"""CIFAR-10 (Krizhevsky 2009) as class folders of PNG, from a local copy or the original download."""

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

from xnb.check import require
from xnb.data.archives import Entry, batch, entries
from xnb.data.download import download
from xnb.data.folders import image_folder
from xnb.data.split import Split
from xnb.paths import cache

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"  # as published beside the download
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HINT = "data.cifar10('path/to/CIFAR10'), or set XNB_CIFAR10 to a folder or an archive"


class Picture(NamedTuple):
    """A picture and where it belongs: `{part}/{label}/{name}.png`."""

    part: str
    label: str
    name: str
    image: Image.Image


def cifar10(source: str | Path | None = None, *, per_class: int | None = None) -> Split:
    """60,000 colour pictures of 32 x 32 in ten classes, as `image_folder` reads them.

    The first call brings them as PNG into `data/cache/CIFAR10/{train,test}/<class>/`, the next ones read that.
    Copies in JPEG are off by 6 of 255 on average: train and test on the same kind.

    Args:
        source: a folder or archive (tar, zip) that holds `{train,test}/<class>/<picture>`, or the original
            `cifar-10-python.tar.gz`; if omitted, what XNB_CIFAR10 names, else the download (170 MB). Used by
            the first call alone: remove the folder in the cache to bring another copy.
        per_class: the first so many of each class in each part.

    Raises:
        ValueError: the source is missing, damaged, or holds links, paths that lead outside, or other files.
    """
    home = cache() / "CIFAR10"
    if not home.is_dir():
        named = source or os.environ.get("XNB_CIFAR10")
        _bring(Path(named) if named else download(URL, MD5, cache() / "cifar-10-python.tar.gz"), home)
    return image_folder(home, per_class=per_class)


def _bring(source: Path, home: Path) -> None:
    """Write all pictures beside `home`, then rename: `home` is whole or not there."""
    require(source.exists(), "cifar10: no such folder or archive", source.name, HINT)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".CIFAR10-") as half:
        found = 0
        for picture in tqdm(_pictures(source), unit="picture", delay=2, leave=False):
            target = Path(half) / "CIFAR10" / picture.part / picture.label / f"{picture.name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.image.save(target, compress_level=1)
            found += 1
        require(found > 0, "cifar10: the source must hold {train,test}/<class>/<picture>", source.name, HINT)
        (Path(half) / "CIFAR10").rename(home)


def _pictures(source: Path) -> Iterator[Picture]:
    counts = {"train": 0, "test": 0}
    for path, content in _of_folder(source) if source.is_dir() else entries(source):
        if path.name.startswith(("data_batch_", "test_batch")):
            yield from _of_batch("test" if path.name == "test_batch" else "train", content, counts)
        elif len(path.parts) >= 3 and path.parts[-3] in counts and not path.name.startswith("."):
            yield Picture(*path.parts[-3:-1], path.stem, _decode(path, content))


def _of_folder(folder: Path) -> Iterator[Entry]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            inside = PurePosixPath(file.relative_to(folder.parent).as_posix())
            yield Entry(inside, file.read_bytes())


def _of_batch(part: str, content: bytes, counts: dict[str, int]) -> Iterator[Picture]:
    held = batch(content)
    pixels = np.asarray(held[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    for image, label in zip(pixels, held[b"labels"], strict=True):
        yield Picture(part, CLASSES[label], f"{counts[part]:05d}", Image.fromarray(image))
        counts[part] += 1


def _decode(path: PurePosixPath, content: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        name = "/".join(path.parts[-3:])
        require(False, f"cifar10: {name} must be a picture", str(error)[:80], "another copy of the archive")
