"""One object before one texture, and two label sets: what one network must see, the other must leave (BAM)."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from xnb.check import require
from xnb.data.drawing import FORMS, colour, placed
from xnb.data.split import Part, Split

OBJECTS = tuple(FORMS)
AREA = (0.08, 0.16)  # of the picture: a little more than in `shapes`, as textures are busier than clouds


def _stripes(across: NDArray, rng: Generator) -> NDArray:
    return np.sin(2 * np.pi * (across / rng.uniform(4, 7) + rng.random()))


def _grain(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return rng.standard_normal(rows.shape)


def _blobs(rows: NDArray, columns: NDArray, rng: Generator) -> NDArray:
    return gaussian_filter(rng.standard_normal(rows.shape), 2.0, mode="wrap")


# (rows, columns, rng) -> a pattern of any scale and offset; those with a period have a random one and a random phase
TEXTURES: dict[str, Callable[[NDArray, NDArray, Generator], NDArray]] = {
    "rows": lambda rows, columns, rng: _stripes(rows, rng),
    "columns": lambda rows, columns, rng: _stripes(columns, rng),
    "diagonals": lambda rows, columns, rng: _stripes((rows + columns) / 2**0.5, rng),
    "checks": lambda rows, columns, rng: np.sign(_stripes(rows, rng) * _stripes(columns, rng)),
    "grain": _grain,
    "blobs": _blobs,
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

    Picture i is a function of (seed, part, i), whatever `n`, `label` and `objects`.

    Args:
        label: which of the two is asked for.
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
    parts = (_part(n[part], label, size, objects, (seed, part), (other, part)) for part in (0, 1))
    return Split(*parts, OBJECTS if label == "object" else tuple(TEXTURES))


def _part(n: int, label: str, size: int, objects: bool, seed: tuple[int, int], texture: tuple[int, int]) -> Part:
    x, inside = np.empty((n, 3, size, size), dtype=np.float32), np.zeros((n, 1, size, size), dtype=bool)
    forms, patterns = np.arange(n) % len(OBJECTS), np.arange(n) // len(OBJECTS) % len(TEXTURES)
    for i in range(n):
        x[i] = _texture(tuple(TEXTURES)[patterns[i]], default_rng((*texture, i, 0)), size)
        if objects:
            rng = default_rng((*seed, i, 1))
            inside[i] = placed(OBJECTS[forms[i]], rng.uniform(*AREA) * size**2, rng, size)
            x[i][:, inside[i, 0]] = colour(rng)
    y, masks = (forms, inside) if label == "object" else (patterns, ~inside)
    return Part(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(masks))


def _texture(name: str, rng: Generator, size: int) -> NDArray:
    """Two random colours mixed by the pattern; channels stay within [0.2, 0.8]."""
    pattern = TEXTURES[name](*np.mgrid[:size, :size], rng)
    share = np.clip(0.5 + (pattern - pattern.mean()) / pattern.std() / 4, 0, 1)
    dark, light = rng.uniform(0.2, 0.45, (3, 1, 1)), rng.uniform(0.55, 0.8, (3, 1, 1))
    return dark + (light - dark) * share
