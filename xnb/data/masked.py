"""Photographs on disk with a mask of one thing in each: for networks trained on real pictures."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from xnb.check import refuse, require
from xnb.data.pictures import PICTURE_ERRORS, decode_rgb
from xnb.data.split import Part, Split


def masked_photos(
    path: str | Path,
    table: Mapping[str, tuple[str, str, Collection[int]]],
    size: int = 256,
) -> Split:
    """Photographs `(N, 3, size, size)` in [0, 1] with masks, by path; the short side resized, the middle cut out.

    `data.masked_photos("photos", {"dog": ("dog.jpg", "dog_mask.png", {1})})` has one class a row of the table. There
    is nothing to train on: the training part is empty. A mask says where the thing is, and not that a network uses
    it: only what happens when it is removed does. It is resized without mixing values.

    For a network that wants 224 pixels after 256, as `models.FASTNET` cuts them, cut the masks likewise:
    `part.masks[:, :, 16:-16, 16:-16]`.

    Args:
        path: folder that the names in the table are relative to.
        table: name of each class -> (picture, mask, values in the mask that mark it). Of a mask of grey or palette
            pixels the values are those numbers; of a coloured one `R + 256 G + 65536 B`, as in panoptic annotations
            of COCO.
        size: side in pixels.

    Raises:
        ValueError: a file is missing, is not a picture, a mask has another size than its picture, or marks nothing
            that is left after cutting.
    """
    root = Path(path)
    require(size > 0, "masked_photos: size must be at least 1 pixel", size, "size=256")
    hint = 'table={"dog": ("dog.jpg", "dog_mask.png", {1})}'
    require(len(table) > 0, "masked_photos: the table must have rows", table, hint)
    photos = []
    masks = []
    for picture, mask, values in table.values():
        # cut together, so that the mask stays on its thing
        photo, inside = _read_photo_and_mask(root / picture, root / mask, set(values), size)
        photos.append(photo)
        masks.append(inside)
    x = torch.from_numpy(np.stack(photos))
    stacked_masks = torch.from_numpy(np.stack(masks))
    test = Part(x, torch.arange(len(x)), stacked_masks)
    return Split(test[:0], test, tuple(table))


def _read_photo_and_mask(
    picture: Path,
    mask: Path,
    values: set[int],
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The photograph `(3, size, size)` in [0, 1] and the pixels of the thing `(1, size, size)`."""
    for file in (picture, mask):
        require(file.is_file(), "masked_photos: no such file", file.name, _suggest_files(file.parent, file.name))
    photo = decode_rgb(picture, f"masked_photos: {picture.name}")
    numbered = _read_mask(mask)
    rule = f"masked_photos: {mask.name} must have the size of its picture, {photo.size}"
    require(numbered.size == photo.size, rule, numbered.size, "a mask drawn on the picture as it is")
    # Only the photograph is smoothed: between two values of a mask there is no third.
    photo = ImageOps.fit(photo, (size, size), Image.Resampling.BICUBIC)
    numbers = np.array(ImageOps.fit(numbered, (size, size), Image.Resampling.NEAREST))
    inside = np.isin(numbers, list(values))
    rule = f"masked_photos: {mask.name} must have one of the values, after cutting"
    require(bool(inside.any()), rule, sorted(values), _list_values(numbers))
    pixels = np.array(photo, dtype=np.float32).transpose(2, 0, 1)
    return pixels / 255, inside[None]


def _list_values(numbers: np.ndarray) -> str:
    """The values of a mask, the rarest first: a thing is smaller than what it stands before."""
    values, counts = np.unique(numbers, return_counts=True)
    return f"one of {[[value] for value in values[counts.argsort()][:5].tolist()]}"


def _suggest_files(folder: Path, name: str) -> str:
    """The files of a folder whose names are most like the one that is not there."""
    present = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    similar = get_close_matches(name, present, n=3, cutoff=0.3) or present[:3]
    return f"one of {similar}" if similar else f"a folder with the files of the table, in place of {folder.name!r}"


def _read_mask(file: Path) -> Image.Image:
    """The number of each pixel of a mask."""
    try:
        with Image.open(file) as opened:
            has_numbers = opened.mode in ("1", "L", "P")
            pixels = np.array(opened if has_numbers else opened.convert("RGB"), dtype=np.int64)
    except PICTURE_ERRORS as error:
        refuse(f"masked_photos: {file.name} must be a picture", str(error), "bring the file again")
    if not has_numbers:
        pixels = pixels @ np.array([1, 256, 65536])
    return Image.fromarray(pixels.astype(np.int32))
