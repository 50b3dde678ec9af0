"""Numbers to pixels, without a figure: what a widget shows must be there a few milliseconds after a control moved."""

import base64
import io
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from xnb.check import require
from xnb.plot import OUTLINE, SIGNED

Pixels: TypeAlias = NDArray[np.uint8]  # colours (H, W, 3)

_DISPLAY_SIDE = 256  # pixels that a picture is shown with, about: small pictures are enlarged by a whole number
_GAP_COLOUR = 40  # nearly black: grey is a weight of zero, and white is zero in a map
_OUTLINE_BYTES = bytes.fromhex(OUTLINE.removeprefix("#"))
OUTLINE_COLOUR = np.frombuffer(_OUTLINE_BYTES, dtype=np.uint8)


def to_rgb(x: ArrayLike) -> Pixels:
    """Colours `(H, W, 3)` of a picture `(C, H, W)` in [0, 1]; what lies outside is cut off."""
    channels_first = np.asarray(x, dtype=float)
    image = np.moveaxis(channels_first, 0, -1)
    fits = image.ndim == 3 and image.shape[2] in (1, 3)
    require(fits, "pixels: a picture is (C, H, W) with 1 or 3 channels", np.shape(x), "x[0]")
    values = (image.clip(0, 1) * 255).round()
    H, W = values.shape[:2]
    return np.broadcast_to(values, (H, W, 3)).astype(np.uint8)


def signed_colours(values: ArrayLike, end: float) -> Pixels:
    """Colours of signed values: red for, blue against, white nothing; full colour from `end` on."""
    width = 2 * (end or 1)
    numbers = np.asarray(values, dtype=float)
    return _apply_colormap(SIGNED, numbers / width + 0.5)


def unsigned_colours(values: ArrayLike, end: float) -> Pixels:
    """Colours of values that have no sign, from white (nothing) to full red (`end` or more), as in a signed map."""
    return signed_colours(np.maximum(values, 0), end)


def _apply_colormap(name: str, values: NDArray) -> Pixels:
    colormap = mpl.colormaps[name]
    rgba = colormap(np.clip(values, 0, 1), bytes=True)
    return rgba[..., :3]


def resize_nearest(rgb: Pixels, shape: tuple[int, int]) -> Pixels:
    """Show the same squares on a grid of another size `(H, W)`, without smoothing."""
    return _resize_image(Image.fromarray(rgb), shape)


def _resize_image(image: Image.Image, shape: tuple[int, int]) -> NDArray:
    height, width = shape
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST))


def display_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of pixels that a picture is shown with."""
    longer = max(height, width)
    times = max(1, round(_DISPLAY_SIDE / longer))
    return height * times, width * times


def enlarge_picture(x: Tensor) -> Pixels:
    """Colours of a picture `(C, H, W)` at the size with which it is shown."""
    H, W = x.shape[1:]
    return resize_nearest(to_rgb(x.cpu()), display_size(H, W))


def blend_with_input(
    over: Pixels,
    under: Pixels,
    opacity: float,
) -> Pixels:
    """Lay a map over the picture, which is made grey and light, so that its colours are not taken for the map's."""
    brightness = under.mean(2, keepdims=True)
    grey = 255 - (255 - brightness) * 0.6
    blend = opacity * over + (1 - opacity) * grey
    return blend.round().astype(np.uint8)


def draw_outline(rgb: Pixels, mask: ArrayLike) -> Pixels:
    """Draw a yellow line, two pixels wide, around the mask `(h, w)` stretched over the picture."""
    small = Image.fromarray(np.asarray(mask, dtype=bool))
    H, W = rgb.shape[:2]
    inside = _resize_image(small, (H, W))
    # A pixel is on the line where the mask ends at one of its four neighbours; beyond the edge nothing ends.
    padded = np.pad(inside, 1, mode="edge")
    above = padded[:-2, 1:-1]
    below = padded[2:, 1:-1]
    left = padded[1:-1, :-2]
    right = padded[1:-1, 2:]
    ends = [neighbour != inside for neighbour in (above, below, left, right)]
    line = np.any(ends, axis=0)
    return np.where(line[..., None], OUTLINE_COLOUR, rgb)


def montage(tiles: Pixels, columns: int, gap: int = 2) -> Pixels:
    """Put pictures `(N, h, w, 3)` side by side in rows, with nearly black lines between them."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    # Each tile with the gap behind it; the last of a row and of a column need none.
    row_step = height + gap
    column_step = width + gap
    H = rows * row_step - gap
    W = columns * column_step - gap
    sheet = np.full((H, W, 3), _GAP_COLOUR, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        top = row * row_step
        left = column * column_step
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _encode_png(rgb: Pixels) -> bytes:
    """Encode the picture as a file; little compressed, as it only travels to the next process."""
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(rgb))
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def data_link(rgb: Pixels) -> str:
    """Address that holds the picture itself."""
    content = base64.b64encode(_encode_png(rgb)).decode()
    return f"data:image/png;base64,{content}"
