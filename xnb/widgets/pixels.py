"""Numbers to pixels, without a figure: what a widget shows must be there a few milliseconds after a control moved."""

import base64
import io

import matplotlib as mpl
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from xnb.check import require
from xnb.plot import OUTLINE, SIGNED, UNSIGNED

SIDE = 256  # pixels that a picture is shown with, about: small pictures are enlarged by a whole number
YELLOW = np.array([int(OUTLINE[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


def picture(x: ArrayLike) -> NDArray[np.uint8]:
    """Colours `(H, W, 3)` of a picture `(C, H, W)` in [0, 1]; what lies outside is cut off."""
    image = np.moveaxis(np.asarray(x, dtype=float), 0, -1)
    fits = image.ndim == 3 and image.shape[2] in (1, 3)
    require(fits, "pixels: a picture is (C, H, W) with 1 or 3 channels", np.shape(x), "x[0]")
    return np.broadcast_to((image.clip(0, 1) * 255).round(), (*image.shape[:2], 3)).astype(np.uint8)


def signed(values: ArrayLike, end: float) -> NDArray[np.uint8]:
    """Red for, blue against, white nothing; full colour from `end` on."""
    return colours(SIGNED, np.asarray(values, dtype=float) / (2 * (end or 1)) + 0.5)


def unsigned(values: ArrayLike, end: float) -> NDArray[np.uint8]:
    """From dark (nothing) to light (`end` or more)."""
    return colours(UNSIGNED, np.asarray(values, dtype=float) / (end or 1))


def colours(name: str, values: NDArray) -> NDArray[np.uint8]:
    return mpl.colormaps[name](np.clip(values, 0, 1), bytes=True)[..., :3]


def stretched(rgb: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The same squares on a grid of another size `(H, W)`, without smoothing."""
    return np.asarray(Image.fromarray(rgb).resize(shape[::-1], Image.Resampling.NEAREST))


def shown_size(height: int, width: int, side: int = SIDE) -> tuple[int, int]:
    """Rows and columns that a picture is shown with."""
    times = max(1, round(side / max(height, width)))
    return height * times, width * times


def blended(over: NDArray[np.uint8], under: NDArray[np.uint8], opacity: float) -> NDArray[np.uint8]:
    """A map over the picture, which is grey and light below, so that its colours are not taken for the map's."""
    grey = 255 - (255 - under.mean(2, keepdims=True)) * 0.6
    return (opacity * over + (1 - opacity) * grey).round().astype(np.uint8)


def outlined(rgb: NDArray[np.uint8], mask: ArrayLike) -> NDArray[np.uint8]:
    """A yellow line, two pixels wide, around the mask `(h, w)` stretched over the picture."""
    inside = np.asarray(
        Image.fromarray(np.asarray(mask, dtype=bool)).resize(rgb.shape[1::-1], Image.Resampling.NEAREST)
    )
    around = np.pad(inside, 1, mode="edge")
    parts = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    line = np.any([part != inside for part in parts], axis=0)
    return np.where(line[..., None], YELLOW, rgb)


def montage(tiles: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Pictures `(N, h, w, 3)` side by side in rows, with grey between them."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 128, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def png(rgb: NDArray[np.uint8]) -> bytes:
    """The picture as a file; little compressed, as it only travels to the next process."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def link(rgb: NDArray[np.uint8]) -> str:
    """The picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(rgb)).decode()
