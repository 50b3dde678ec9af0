"""A folder of pictures: class folders for training and test, class folders alone, or pictures without classes."""

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
LAYOUTS = f"{LAYOUT}; path/<class>/<picture>; or path/<picture>"


def image_folder(
    path: str | Path,
    *,
    size: int | None = None,
    per_class: int | None = None,
) -> Split:
    """Pictures of a folder as RGB in [0, 1], upright, classes in alphabetical order, files in order of their names.

    The folder holds `train/<class>/<picture>` and `test/<class>/<picture>`. Or there is nothing to train on, and the
    training part is empty: the folder holds class folders with pictures, or pictures alone, which are then one class
    that is called like the folder. `names` of the split are the files of the test part.

    Grey and palette pictures become RGB; transparency is laid on white; a turn that a camera noted is applied. Names
    that begin with a dot are skipped; any other file must be a picture. What lies beside `train/` and `test/` is left
    out.

    Args:
        path: the folder itself, neither the one above nor a part of it.
        size: side of the pictures in memory: the short side is resized, the middle cut out. None keeps them as
            they are, and needs all of one size.
        per_class: how many pictures of each class to take in each part, the first ones; all by default.

    Raises:
        ValueError: a folder is missing or empty, holds pictures beside folders, or the parts have different classes; a
            file is not a picture of 8 bits a channel, sizes differ, or everything together is larger than 4 GiB.
    """
    root = Path(path)
    has_pixels = size is None or size > 0
    require(has_pixels, "image_folder: size must be at least 1 pixel", size, "size=64")
    has_pictures = per_class is None or per_class > 0
    require(has_pictures, "image_folder: per_class must be at least 1", per_class, "per_class=100")
    parts = _list_parts(root, per_class)
    files = {name: _list_files(classes) for name, classes in parts.items()}
    # Before anything is read: a set that is too large is refused at once, not after minutes.
    _check_memory([*files.get("train", []), *files["test"]], size, root)
    read = {name: _read_class_folders(classes, size, root) for name, classes in parts.items()}
    test = read["test"]
    below = root / "test" if "train" in parts else root
    names = tuple(str(file.relative_to(below)) for file in files["test"])
    return Split(read.get("train", test[:0]), test, classes=tuple(parts["test"]), names=names)


def _list_parts(root: Path, per_class: int | None) -> dict[str, Classes]:
    """The classes of both parts, or of the test part alone, by what the folder holds."""
    require(root.is_dir(), "image_folder: no such folder", root.name, LAYOUTS)
    entries = list(_list_visible(root))
    require(bool(entries), "image_folder: the folder must hold pictures", f"nothing in {root.name}", LAYOUTS)
    folders = [entry for entry in entries if entry.is_dir()]
    named = [folder.name for folder in folders]
    if {"train", "test"} <= set(named):
        return _list_train_and_test(root, per_class)
    loose = [entry.name for entry in entries if not entry.is_dir()]
    rule = "image_folder: the folder must hold pictures or folders, not both"
    require(not (loose and folders), rule, [*named[:4], *loose[:4]], LAYOUTS)
    if loose:
        return {"test": {root.resolve().name: entries[:per_class]}}
    # What is left are folders of classes, which hold pictures alone.
    has_classes = not any(entry.is_dir() for folder in folders for entry in _list_visible(folder))
    require(has_classes, "image_folder: the folder must hold train/ and test/", named[:8], LAYOUT)
    return {"test": _list_classes(root, per_class)}


def _list_train_and_test(root: Path, per_class: int | None) -> dict[str, Classes]:
    """The classes of `train/` and of `test/`, which are the same."""
    parts = {name: _list_classes(root / name, per_class) for name in ("train", "test")}
    unmatched = sorted(set(parts["train"]) ^ set(parts["test"]))
    hint = "move these out, or add them to the other part"
    require(not unmatched, "image_folder: train/ and test/ must have the same classes", unmatched, hint)
    return parts


def _list_visible(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith("."):
            yield entry


def _list_classes(folder: Path, per_class: int | None) -> Classes:
    """The classes of a folder with their pictures, the first `per_class` of each."""
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


def _check_memory(files: list[Path], size: int | None, root: Path) -> None:
    """Refuse pictures that would fill the memory: without `size`, all are as large as the first."""
    if size is None:
        height, width, _ = _read_pixels(files[0], None, root).shape
    else:
        height = width = size
    pixels = len(files) * height * width
    needed = pixels * 3 * 4  # bytes: three channels of float32
    gibibytes = f"{needed / 2**30:.1f} GiB"
    described = f"{len(files)} pictures of {height} x {width}: {gibibytes}"
    hint = "size=64  # or per_class=100"
    require(needed <= LIMIT_BYTES, "image_folder: pictures must fit into 4 GiB", described, hint)


def _read_class_folders(classes: Classes, size: int | None, root: Path) -> Part:
    """Read the pictures of each class; all must have the size of the first."""
    files = _list_files(classes)
    shape = _read_pixels(files[0], size, root).shape
    x = torch.empty(len(files), 3, *shape[:2])
    read = partial(_read_same_size, size=size, root=root, shape=shape)
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
    root: Path,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Pixels of a picture that must have the shape of the first one."""
    pixels = _read_pixels(file, size, root)
    rule = f"image_folder: pictures must have one size; {file.name} differs from {shape[:2]}"
    require(pixels.shape == shape, rule, pixels.shape[:2], "size=224")
    return pixels


def _read_pixels(file: Path, size: int | None, root: Path) -> np.ndarray:
    """RGB pixels `(H, W, 3)` in 0..255, with `size` those of the middle square at that side."""
    below_root = file.relative_to(root)  # a message does not tell where the folder lies
    picture = decode_rgb(file, f"image_folder: {below_root}", upright=True)
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.array(picture)
