"""One object before one texture, and two label sets: what one network must use, the other must ignore (BAM)."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from xnb.check import require
from xnb.data.drawing import FORMS, draw_colour, draw_form
from xnb.data.split import Part, Split

OBJECTS = tuple(FORMS)
OBJECT_AREA = (0.08, 0.16)  # of the picture: a little more than in `shapes`, as textures are busier than clouds


def _draw_stripes(across: NDArray, rng: Generator) -> NDArray:
    """A wave in [-1, 1] of random period and phase; `across` is where each pixel lies across the stripes, in pixels."""
    period = rng.uniform(4, 7)  # pixels
    phase = rng.random()
    cycles = across / period + phase
    return np.sin(2 * np.pi * cycles)


def _draw_rows(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return _draw_stripes(rows, rng)


def _draw_columns(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return _draw_stripes(columns, rng)


def _draw_diagonals(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return _draw_stripes((rows + columns) / 2**0.5, rng)


def _draw_checks(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return np.sign(_draw_stripes(rows, rng) * _draw_stripes(columns, rng))


def _draw_grain(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return rng.standard_normal(rows.shape)


def _draw_blobs(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return gaussian_filter(rng.standard_normal(rows.shape), 2.0, mode="wrap")


# Each draws a pattern of any scale and offset from (rows, columns, rng).
TEXTURES: dict[str, Callable[[NDArray, NDArray, Generator], NDArray]] = {
    "rows": _draw_rows,
    "columns": _draw_columns,
    "diagonals": _draw_diagonals,
    "checks": _draw_checks,
    "grain": _draw_grain,
    "blobs": _draw_blobs,
}


def objects_on_textures(
    label: Literal["object", "texture"] = "object",
    size: int = 32,
    n: tuple[int, int] = (2000, 500),
    seed: int = 0,
    *,
    objects: bool = True,
    texture: int | None = None,
) -> Split:
    """Colour pictures `(N, 3, size, size)` of one of six forms before one of six textures.

    After BAM (arXiv:1907.09701). Form and texture are independent: all 36 pairs take turns. With `label="object"` the
    classes are the forms and the mask is the object; with `label="texture"` the same pictures have the textures as
    classes and the rest as mask. A network trained on one label set should explain itself by one, and what it shows
    of the other is an error. Colours are drawn without looking at either.

    Picture i is a function of (seed, part, i), whatever `n`, `label` and `objects`; part is 0 for training and 1 for
    testing.

    Args:
        label: which of the two makes the classes.
        size: side in pixels, at least 16.
        n: number of training and test pictures.
        objects: False leaves the textures alone; masks of objects are then empty.
        texture: another seed for the textures alone, of the same classes: the same objects before new ones.

    Raises:
        ValueError: an unknown `label`, `size` or `n` out of range.
    """
    known = label in ("object", "texture")
    require(known, "objects_on_textures: label must be object or texture", label, "label='object'")
    require(size >= 16, "objects_on_textures: size must be at least 16 pixels", size, "size=32")
    require(min(n) >= 0, "objects_on_textures: n must be two numbers of pictures", n, "n=(2000, 500)")
    other = seed if texture is None else texture
    classes = OBJECTS if label == "object" else tuple(TEXTURES)
    train = _draw_objects_on_textures(n[0], label, size, objects, (seed, 0), (other, 0))
    test = _draw_objects_on_textures(n[1], label, size, objects, (seed, 1), (other, 1))
    return Split(train, test, classes)


def _draw_objects_on_textures(
    n: int, label: str, size: int, objects: bool, key: tuple[int, int], texture_key: tuple[int, int]
) -> Part:
    """`n` pictures; a key is (seed, part)."""
    texture_names = list(TEXTURES)
    x = np.empty((n, 3, size, size), dtype=np.float32)
    inside = np.zeros((n, 1, size, size), dtype=bool)
    # The object changes with each picture and the texture with every sixth, so all pairs take turns.
    rounds, form_labels = np.divmod(np.arange(n), len(OBJECTS))
    texture_labels = rounds % len(TEXTURES)
    for i in range(n):
        # streams of their own, so that a new texture leaves the object
        name = texture_names[texture_labels[i]]
        x[i] = _draw_texture(name, default_rng((*texture_key, i, 0)), size)
        if objects:
            rng = default_rng((*key, i, 1))
            area = rng.uniform(*OBJECT_AREA) * size**2
            inside[i] = draw_form(OBJECTS[form_labels[i]], area, rng, size)
            x[i][:, inside[i, 0]] = draw_colour(rng)
    is_object_label = label == "object"
    y = torch.from_numpy(form_labels if is_object_label else texture_labels)
    masks = torch.from_numpy(inside if is_object_label else ~inside)
    return Part(torch.from_numpy(x), y, masks)


def _draw_texture(name: str, rng: Generator, size: int) -> NDArray:
    """Two random colours mixed by the pattern; channels stay within [0.2, 0.8]."""
    rows, columns = np.mgrid[:size, :size]
    pattern = TEXTURES[name](rows, columns, rng)
    standardised = (pattern - pattern.mean()) / pattern.std()
    share = np.clip(0.5 + standardised / 4, 0, 1)
    dark = rng.uniform(0.2, 0.45, (3, 1, 1))
    light = rng.uniform(0.55, 0.8, (3, 1, 1))
    return dark + (light - dark) * share
