"""Any pictures laid out as class folders: `path/{train,test}/<class>/<picture>`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from xnb.check import require
from xnb.data.pictures import rgb
from xnb.data.split import Part, Split

LIMIT_BYTES = 4 * 2**30  # of float32 pictures held in memory, both parts together
LAYOUT = "path/train/<class>/<picture> and path/test/<class>/<picture>"


def image_folder(path: str | Path, *, size: int | None = None, per_class: int | None = None) -> Split:
    """Pictures of class folders as RGB in [0, 1], classes in alphabetical order, files in order of their names.

    Grey and palette pictures become RGB; transparency is laid on white. Names that begin with a dot are skipped;
    any other file of `train/` and `test/` must be a picture in a class folder. Folders beside these two are left out.

    Args:
        path: the folder that holds `train/` and `test/`, not the one above and not `train/` itself.
        size: side of the pictures in memory: the short side is resized, the middle cut out. None keeps them as
            they are, and needs all of one size.
        per_class: take the first so many of each class in each part.

    Raises:
        ValueError: a folder is missing or empty, the parts have different classes, a file is not a picture of 8 bits
            a channel, sizes differ, or everything together is larger than 4 GiB.
    """
    root = Path(path)
    require(size is None or size > 0, "image_folder: size must be at least 1 pixel", size, "size=64")
    some = per_class is None or per_class > 0
    require(some, "image_folder: per_class must be at least 1", per_class, "per_class=100")
    require(root.is_dir(), "image_folder: no such folder", root.name, LAYOUT)
    below = sorted(folder.name for folder in _visible(root) if folder.is_dir())
    laid_out = {"train", "test"} <= set(below)
    require(laid_out, "image_folder: the folder must hold train/ and test/", below[:8], LAYOUT)
    files = {part: _files(root / part, per_class) for part in ("train", "test")}
    train, test = (tuple(files[part]) for part in ("train", "test"))
    require(train == test, "image_folder: train/ and test/ must have the same classes", sorted(set(train) ^ set(test)))
    _must_fit(files, size)
    return Split(_part(files["train"], size), _part(files["test"], size), train)


def _visible(folder: Path) -> Iterator[Path]:
    return (entry for entry in sorted(folder.iterdir()) if not entry.name.startswith("."))


def _files(part: Path, per_class: int | None) -> dict[str, list[Path]]:
    folders = list(_visible(part))
    loose = [entry.name for entry in folders if not entry.is_dir()]
    require(not loose, f"image_folder: {part.name}/ must hold class folders only", loose[:8], LAYOUT)
    classes = {folder.name: list(_visible(folder))[:per_class] for folder in folders}
    require(bool(classes), f"image_folder: {part.name}/ must hold a folder a class", [], LAYOUT)
    empty = [name for name, files in classes.items() if not files]
    require(not empty, f"image_folder: every class of {part.name}/ must hold pictures", empty, "remove the folder")
    return classes


def _must_fit(files: dict[str, dict[str, list[Path]]], size: int | None) -> None:
    every = [file for classes in files.values() for names in classes.values() for file in names]
    height, width = (size, size) if size else _read(every[0], None).shape[:2]
    needed = len(every) * height * width * 3 * 4
    held = f"{len(every)} pictures of {height} x {width}: {needed / 2**30:.1f} GiB"
    require(needed <= LIMIT_BYTES, "image_folder: pictures must fit into 4 GiB", held, "size=64, or per_class=100")


def _part(files: dict[str, list[Path]], size: int | None) -> Part:
    pairs = [(file, label) for label, names in enumerate(files.values()) for file in names]
    shape = _read(pairs[0][0], size).shape
    x = torch.empty(len(pairs), 3, *shape[:2])
    with ThreadPoolExecutor() as pool:  # PIL decodes outside the interpreter lock
        pictures = pool.map(lambda pair: _alike(pair[0], size, shape), pairs)
        for i, picture in enumerate(tqdm(pictures, total=len(pairs), unit="picture", delay=2, leave=False)):
            x[i] = torch.from_numpy(picture).permute(2, 0, 1)
    return Part(x.div_(255), torch.tensor([label for _, label in pairs]))


def _alike(file: Path, size: int | None, shape: tuple[int, ...]) -> np.ndarray:
    picture = _read(file, size)
    rule = f"image_folder: pictures must have one size; {file.name} differs from {shape[:2]}"
    require(picture.shape == shape, rule, picture.shape[:2], "image_folder(path, size=64)")
    return picture


def _read(file: Path, size: int | None) -> np.ndarray:
    """RGB pixels `(H, W, 3)` in 0..255."""
    picture = rgb(file, f"image_folder: {Path(*file.parts[-3:])}")
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.array(picture)
