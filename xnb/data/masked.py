"""Photographs on disk with the pixels of one thing marked in each: for networks trained on real pictures."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from xnb.check import require
from xnb.data.pictures import UNREADABLE, rgb
from xnb.data.split import Part, Split


class Masked(NamedTuple):
    """A picture, the picture of its mask, and the values in it that mark the thing.

    Of a mask of grey or palette pixels the values are those numbers; of a coloured one, `R + 256 G + 65536 B`, as in
    panoptic annotations of COCO.
    """

    picture: str
    mask: str
    values: Collection[int]


def masked_photos(path: str | Path, table: Mapping[str, Masked | tuple], size: int = 256) -> Split:
    """Photographs `(N, 3, size, size)` in [0, 1] with masks, by path; the short side resized, the middle cut out.

    `data.masked_photos("photos", {"dog": ("dog.jpg", "dog_mask.png", {1})})` has one class a row of the table. There
    is nothing to train on: the training part is empty. A mask says where the thing is, and not that a network uses
    it: only what happens when it is removed does. It is resized without mixing values.

    For a network that wants 224 pixels after 256, as `models.FASTNET` cuts them, cut the masks likewise:
    `part.masks[:, :, 16:-16, 16:-16]`.

    Args:
        path: folder that the names in the table are relative to.
        table: name of each class -> (picture, mask, values that mark it).
        size: side in pixels.

    Raises:
        ValueError: a file is missing, is not a picture, a mask has another size than its picture, or marks nothing
            that is left after cutting.
    """
    root = Path(path)
    require(size > 0, "masked_photos: size must be at least 1 pixel", size, "size=256")
    hint = 'masked_photos("photos", {"dog": ("dog.jpg", "dog_mask.png", {1})})'
    require(len(table) > 0, "masked_photos: the table must have rows", table, hint)
    rows = [Masked(*row) for row in table.values()]
    pairs = [_pair(root / row.picture, root / row.mask, set(row.values), size) for row in rows]
    x, masks = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    return Split(
        Part(x[:0], torch.zeros(0, dtype=torch.int64), masks[:0]), Part(x, torch.arange(len(x)), masks), tuple(table)
    )


def _pair(picture: Path, mask: Path, values: set[int], size: int) -> tuple[np.ndarray, np.ndarray]:
    for file in (picture, mask):
        require(file.is_file(), "masked_photos: no such file", file.name, "names in the table are relative to path")
    photo, marked = rgb(picture, f"masked_photos: {picture.name}"), _marked(mask, values)
    rule = f"masked_photos: {mask.name} must have the size of its picture, {photo.size}"
    require(marked.size == photo.size, rule, marked.size, "a mask drawn on the picture as it is")
    photo = ImageOps.fit(photo, (size, size), Image.Resampling.BICUBIC)
    inside = np.array(ImageOps.fit(marked, (size, size), Image.Resampling.NEAREST)) > 0
    rule = f"masked_photos: {mask.name} must mark something"
    require(bool(inside.any()), rule, f"none of the values {sorted(values)} after cutting", "other values")
    return np.array(photo, dtype=np.float32).transpose(2, 0, 1) / 255, inside[None]


def _marked(file: Path, values: set[int]) -> Image.Image:
    """Where a mask has one of the values, as a picture of 0 and 255."""
    try:
        with Image.open(file) as opened:
            numbers = np.array(opened if opened.mode in ("1", "L", "P") else opened.convert("RGB"), dtype=np.int64)
    except UNREADABLE as error:
        require(False, f"masked_photos: {file.name} must be a picture", str(error), "bring the file again")
    numbers = numbers if numbers.ndim == 2 else numbers @ np.array([1, 256, 65536])
    return Image.fromarray(np.isin(numbers, list(values)).astype(np.uint8) * 255)
