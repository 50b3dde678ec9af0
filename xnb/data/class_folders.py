"""Any pictures laid out as class folders: `path/{train,test}/<class>/<picture>`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from xnb.check import require
from xnb.data.pictures import decode_rgb
from xnb.data.split import Part, Split

LIMIT_BYTES = 4 * 2**30  # of float32 pictures held in memory, both parts together
Classes = dict[str, list[Path]]  # name of a class -> its pictures
LAYOUT = "path/train/<class>/<picture> and path/test/<class>/<picture>"


def image_folder(
    path: str | Path,
    *,
    size: int | None = None,
    per_class: int | None = None,
) -> Split:
    """Pictures of class folders as RGB in [0, 1], classes in alphabetical order, files in order of their names.

    Grey and palette pictures become RGB; transparency is laid on white. Names that begin with a dot are skipped;
    any other file of `train/` and `test/` must be a picture in a class folder. Folders beside these two are left out.

    Args:
        path: the folder that holds `train/` and `test/`, not the one above and not `train/` itself.
        size: side of the pictures in memory: the short side is resized, the middle cut out. None keeps them as
            they are, and needs all of one size.
        per_class: how many pictures of each class to take in each part, the first ones; all by default.

    Raises:
        ValueError: a folder is missing or empty, the parts have different classes, a file is not a picture of 8 bits
            a channel, sizes differ, or everything together is larger than 4 GiB.
    """
    root = Path(path)
    has_pixels = size is None or size > 0
    require(has_pixels, "image_folder: size must be at least 1 pixel", size, "size=64")
    has_pictures = per_class is None or per_class > 0
    require(has_pictures, "image_folder: per_class must be at least 1", per_class, "per_class=100")
    _check_layout(root)
    train = _list_classes(root / "train", per_class)
    test = _list_classes(root / "test", per_class)
    unmatched = sorted(set(train) ^ set(test))
    require(not unmatched, "image_folder: train/ and test/ must have the same classes", unmatched)
    # Before anything is read: a set that is too large is refused at once, not after minutes.
    _check_memory([*_list_files(train), *_list_files(test)], size)
    train_part = _read_class_folders(train, size)
    test_part = _read_class_folders(test, size)
    return Split(train_part, test_part, classes=tuple(train))


def _check_layout(root: Path) -> None:
    require(root.is_dir(), "image_folder: no such folder", root.name, LAYOUT)
    folders = sorted(entry.name for entry in _list_visible(root) if entry.is_dir())
    has_parts = {"train", "test"} <= set(folders)
    require(has_parts, "image_folder: the folder must hold train/ and test/", folders[:8], LAYOUT)


def _list_visible(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith("."):
            yield entry


def _list_classes(folder: Path, per_class: int | None) -> Classes:
    """The classes of `train/` or `test/` with their pictures, the first `per_class` of each."""
    part = folder.name
    entries = list(_list_visible(folder))
    loose = [entry.name for entry in entries if not entry.is_dir()]
    rule = f"image_folder: {part}/ must hold class folders only"
    require(not loose, rule, loose[:8], LAYOUT)
    classes = {}
    for entry in entries:
        files = list(_list_visible(entry))  # sorted, so that the first ones are the same on every disk
        classes[entry.name] = files[:per_class]
    require(bool(classes), f"image_folder: {part}/ must hold a folder a class", [], LAYOUT)
    empty = [name for name, files in classes.items() if not files]
    rule = f"image_folder: every class of {part}/ must hold pictures"
    require(not empty, rule, empty, "remove the folder")
    return classes


def _list_files(classes: Classes) -> list[Path]:
    return list(chain.from_iterable(classes.values()))


def _check_memory(files: list[Path], size: int | None) -> None:
    if size is None:
        height, width, _ = _read_pixels(files[0], None).shape
    else:
        height = width = size
    pixels = len(files) * height * width
    needed = pixels * 3 * 4  # bytes: three channels of float32
    gibibytes = f"{needed / 2**30:.1f} GiB"
    described = f"{len(files)} pictures of {height} x {width}: {gibibytes}"
    require(needed <= LIMIT_BYTES, "image_folder: pictures must fit into 4 GiB", described, "size=64, or per_class=100")


def _read_class_folders(classes: Classes, size: int | None) -> Part:
    files = _list_files(classes)
    shape = _read_pixels(files[0], size).shape
    x = torch.empty(len(files), 3, *shape[:2])
    read = partial(_read_same_size, size=size, shape=shape)
    with ThreadPoolExecutor() as pool:  # PIL decodes outside the interpreter lock
        pictures = tqdm(pool.map(read, files), total=len(files), unit="picture", delay=2, leave=False)
        for row, picture in enumerate(pictures):
            x[row] = torch.from_numpy(picture).permute(2, 0, 1)
    counts = torch.tensor([len(names) for names in classes.values()])
    y = torch.arange(len(classes)).repeat_interleave(counts)
    return Part(x.div_(255), y)


def _read_same_size(
    file: Path,
    size: int | None,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Pixels of a picture that must have the shape of the first one."""
    pixels = _read_pixels(file, size)
    rule = f"image_folder: pictures must have one size; {file.name} differs from {shape[:2]}"
    require(pixels.shape == shape, rule, pixels.shape[:2], "image_folder(path, size=64)")
    return pixels


def _read_pixels(file: Path, size: int | None) -> np.ndarray:
    """RGB pixels `(H, W, 3)` in 0..255, with `size` those of the middle square at that side."""
    below_root = Path(*file.parts[-3:])  # part/class/picture: a message does not tell where the folder lies
    picture = decode_rgb(file, f"image_folder: {below_root}")
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.array(picture)
