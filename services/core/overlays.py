"""A map over the picture that the model saw, as PNG: red speaks for the class, blue against it."""

import io

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xnb.plot.scale import SIGNED, Scale, choose_scale

_OPACITY = 0.75
_LIGHTEST = 0.6  # how dark black becomes below a map: its colours must not be taken for the map's
_SMALLEST_SIDE = 224  # of the PNG: a small map is enlarged by a whole number


def draw_overlay(a: NDArray[np.float32], seen: NDArray[np.float32]) -> tuple[bytes, Scale]:
    """The PNG, and where its colours end: a map is summed over channels, and its scale is symmetric around zero."""
    heat = a.astype(np.float64).sum(0)
    scale = choose_scale(heat)
    shares = np.clip(heat / (2 * scale.end) + 0.5, 0, 1)
    colours = mpl.colormaps[SIGNED](shares)[..., :3]
    grey = 1 - _LIGHTEST * (1 - seen.astype(np.float64).mean(0, keepdims=True))
    blended = _OPACITY * colours + (1 - _OPACITY) * np.moveaxis(grey, 0, -1)
    return encode_png(blended), scale


def draw_seen(seen: NDArray[np.float32]) -> bytes:
    """The picture as the model saw it, as PNG."""
    image = np.moveaxis(seen, 0, -1)
    return encode_png(np.broadcast_to(image, (*image.shape[:2], 3)))


def encode_png(picture: NDArray) -> bytes:
    """Colours `(H, W, 3)` in [0, 1] as a PNG file."""
    image = Image.fromarray(np.uint8((picture * 255).round().clip(0, 255)))
    times = max(1, round(_SMALLEST_SIDE / max(image.size)))
    enlarged = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    file = io.BytesIO()
    enlarged.save(file, "PNG")
    return file.getvalue()
