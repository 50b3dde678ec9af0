"""What generated pictures are drawn with: flat forms, smooth backgrounds, colours that stand out from them."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

# Which points (u, v) of the plane each form covers, with its area and its reach from the centre.
FORMS: dict[str, tuple[Callable[[NDArray, NDArray], NDArray], float, float]] = {
    "disk": (lambda u, v: u**2 + v**2 <= 1, np.pi, 1.0),
    "square": (lambda u, v: np.maximum(abs(u), abs(v)) <= 1, 4.0, 2**0.5),
    "triangle": (lambda u, v: (v <= 0.5) & (3**0.5 * abs(u) - v <= 1), 3 * 3**0.5 / 4, 1.0),
    "cross": (lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.33) & (np.maximum(abs(u), abs(v)) <= 1), 2.2044, 1.06),
    "ring": (lambda u, v: (u**2 + v**2 <= 1) & (u**2 + v**2 >= 0.3), 0.7 * np.pi, 1.0),
    "bar": (lambda u, v: (abs(u) <= 1) & (abs(v) <= 0.3), 1.2, 1.05),
}


def placed(form: str, area: float, rng: Generator, size: int) -> NDArray:
    """Pixels `(size, size)` of a form of the given area at a random place and angle, wholly in the picture."""
    covers, unit, reach = FORMS[form]
    scale, angle = (area / unit) ** 0.5, rng.uniform(-0.35, 0.35)  # within 20 degrees: a square never is a diamond
    room = min(scale * reach, size / 2)
    row, column = rng.uniform(room, size - room, 2)
    v, u = (np.mgrid[:size, :size] + 0.5 - np.array([row, column])[:, None, None]) / scale
    return covers(u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle))


def clouds(rng: Generator, size: int) -> NDArray:
    """Smooth noise of one random grain around one random colour; channels stay within [0.25, 0.75]."""
    noise = gaussian_filter(rng.standard_normal((3, size, size)), (0, *[rng.uniform(0.7, 3.0)] * 2), mode="wrap")
    tint = rng.uniform(0.4, 0.6, (3, 1, 1))
    return np.clip(tint + 0.07 * noise / noise.std(), 0.25, 0.75)


def colour(rng: Generator) -> NDArray:
    """Each channel nearly off or nearly on: stands out from every background, whichever it is."""
    on = rng.integers(0, 2, 3)
    return np.where(on, rng.uniform(0.85, 1.0, 3), rng.uniform(0.0, 0.15, 3))[:, None]
