"""What generated pictures are drawn with: flat forms, smooth backgrounds, colours that stand out from them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


class _Form(NamedTuple):
    """A flat form around the origin of the plane, of any size."""

    covers: Callable[[NDArray, NDArray], NDArray]  # whether it covers the points (u, v)
    area: float
    reach: float  # distance of its farthest point from the origin


def _in_disk(u: NDArray, v: NDArray) -> NDArray:
    return u**2 + v**2 <= 1


def _in_square(u: NDArray, v: NDArray) -> NDArray:
    return np.maximum(abs(u), abs(v)) <= 1


def _in_triangle(u: NDArray, v: NDArray) -> NDArray:
    above_base = v <= 0.5
    between_sides = 3**0.5 * abs(u) - v <= 1
    return above_base & between_sides


def _in_cross(u: NDArray, v: NDArray) -> NDArray:
    """Whether points lie in a cross of two bars of length 2, each along one axis."""
    nearer_axis = np.minimum(abs(u), abs(v))
    farther_axis = np.maximum(abs(u), abs(v))
    in_width = nearer_axis <= 0.33
    in_length = farther_axis <= 1
    return in_width & in_length


def _in_ring(u: NDArray, v: NDArray) -> NDArray:
    square = u**2 + v**2
    return (square <= 1) & (square >= 0.3)


def _in_bar(u: NDArray, v: NDArray) -> NDArray:
    in_length = abs(u) <= 1
    in_height = abs(v) <= 0.3
    return in_length & in_height


FORMS = {
    "disk": _Form(_in_disk, area=np.pi, reach=1.0),
    "square": _Form(_in_square, area=4.0, reach=2**0.5),
    "triangle": _Form(_in_triangle, area=3 * 3**0.5 / 4, reach=1.0),
    "cross": _Form(_in_cross, area=2.2044, reach=1.06),
    "ring": _Form(_in_ring, area=0.7 * np.pi, reach=1.0),
    "bar": _Form(_in_bar, area=1.2, reach=1.05),
}


class Pose(NamedTuple):
    """Where the middle of a form lies, in pixels, and by how much it is turned."""

    row: float
    column: float
    angle: float


def draw_form(name: str, area: float, rng: Generator, size: int) -> NDArray:
    """Pixels `(size, size)` of a form of this area at a random position and angle, wholly in the picture."""
    return cover_form(name, area, draw_pose(name, area, rng, size), size)


def draw_pose(name: str, area: float, rng: Generator, size: int) -> Pose:
    """A random position and angle of a form of this area, wholly in the picture."""
    angle = rng.uniform(-0.35, 0.35)  # within 20 degrees: a square is never turned into a diamond
    margin = _find_margin(name, area, size)
    row, column = rng.uniform(margin, size - margin, 2)
    return Pose(row, column, angle)


def move_inside(name: str, area: float, pose: Pose, size: int) -> Pose:
    """The nearest pose in which a form of this area lies wholly in the picture."""
    margin = _find_margin(name, area, size)
    row, column = np.clip([pose.row, pose.column], margin, size - margin)
    return Pose(row, column, pose.angle)


def _find_margin(name: str, area: float, size: int) -> float:
    """How far from the borders the middle of a form stays."""
    return min(_find_scale(name, area) * FORMS[name].reach, size / 2)


def _find_scale(name: str, area: float) -> float:
    """By how much a form is enlarged so that it has this area."""
    return (area / FORMS[name].area) ** 0.5


def cover_form(name: str, area: float, pose: Pose, size: int) -> NDArray:
    """Pixels `(size, size)` whose centres lie in a form of this area in this pose."""
    scale = _find_scale(name, area)
    rows, columns = np.mgrid[:size, :size] + 0.5  # centres of the pixels
    v = (rows - pose.row) / scale
    u = (columns - pose.column) / scale
    cosine = np.cos(pose.angle)
    sine = np.sin(pose.angle)
    turned_u = u * cosine + v * sine
    turned_v = v * cosine - u * sine
    return FORMS[name].covers(turned_u, turned_v)


def draw_clouds(rng: Generator, size: int) -> NDArray:
    """Smooth noise of one random grain around one random colour; channels stay within [0.25, 0.75]."""
    noise = rng.standard_normal((3, size, size))
    grain = rng.uniform(0.7, 3.0)  # pixels
    smooth = gaussian_filter(noise, (0, grain, grain), mode="wrap")
    tint = rng.uniform(0.4, 0.6, (3, 1, 1))
    clouds = tint + 0.07 * smooth / smooth.std()
    return np.clip(clouds, 0.25, 0.75)


def draw_colour(rng: Generator) -> NDArray:
    """A colour `(3, 1)` whose channels are nearly off or nearly on: it stands out from every background."""
    on = rng.integers(0, 2, 3)
    bright = rng.uniform(0.85, 1.0, 3)
    dark = rng.uniform(0.0, 0.15, 3)
    return np.where(on, bright, dark)[:, None]
