"""Maps of pictures and volumes: which pixels speak for a class, over the picture they belong to."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import require
from xnb.plot.pictures import hide_axes, read_picture
from xnb.plot.scale import SIGNED, choose_scale, drop_batch_axis, find_colours, read_numbers, write_scale

OUTLINE = "#ffb000"  # mask outlines; the IBM colour-blind-safe yellow
_BORDER = "0.25"  # of superpixels: dark grey, neither for nor against
_OVER_GREY = 0.75  # opacity of a map over a light grey picture
_PALENESS = 0.65  # of what a picture in colour lacks to white: the darkest reds and blues of a map stay to be seen
_Underlay = Literal["grey", "colour"]


def attribution(
    a: ArrayLike | Tensor,
    ax: Axes,
    *,
    under: ArrayLike | Tensor | None = None,
    underlay: _Underlay = "grey",
    opacity: float | None = None,
    mask: ArrayLike | Tensor | None = None,
    regions: ArrayLike | Tensor | None = None,
    limit: float | None = None,
    clip: float | None = None,
    cmap: str | Colormap = SIGNED,
    title: str = "",
    colorbar: bool = True,
) -> Axes:
    """Draw one attribution `(C, H, W)` or `(H, W)`, summed over channels, on a scale symmetric around zero.

    Red speaks for the class, blue against it, white says nothing; the colour bar carries the raw numbers. What share
    of the pixels lies beyond the scale, and how far, is written beside it.

    Args:
        under: the picture `(C, H, W)` in [0, 1], drawn below; a coarse map is stretched over it.
        underlay: the picture in light grey, or in its colours, which the map then covers only where it says something.
        opacity: of the map in [0, 1]: 0.75 over grey, else 1. Over colours, of the pixels at the ends of the scale.
        mask: the object, or what else is marked, `(1, H, W)`, drawn as an outline.
        regions: numbers `(H, W)` of the superpixels that were removed together, whose borders are drawn.
        limit: end of the colour scale. Give maps that are to be compared the same limit.
        clip: percentile of the magnitudes where the scale ends if no limit is given; by default 99.5 for maps of more
            than 128 x 128 pixels, where else one pixel that nobody sees would leave all others white, and else 100.
        cmap: a diverging colour map of matplotlib.

    Raises:
        ValueError: not one map, not finite, or a picture outside [0, 1].
    """
    heat = _read_map(a)
    scale = choose_scale(heat, limit, clip)
    # The picture is drawn first, and the map lies over it.
    alpha = _choose_alpha(heat / scale.end, under is not None, underlay, opacity)
    if under is not None:
        _draw_below(under, underlay, ax, _pixel_extent(heat))
    colours = ax.imshow(
        heat,
        cmap=find_colours(cmap),
        vmin=-scale.end,
        vmax=scale.end,
        interpolation="nearest",
        alpha=alpha,
    )
    if regions is not None:
        _draw_regions(_read_labels(regions, "regions"), ax, heat.shape)
    if mask is not None:
        _draw_mask(_read_labels(mask, "a mask"), ax, heat.shape)
    write_scale(colours, scale, ax, colorbar)
    return hide_axes(ax, title)


def _read_map(a: ArrayLike | Tensor) -> NDArray[np.float64]:
    """One attribution of a picture, summed over its channels: `(H, W)`."""
    numbers = drop_batch_axis(read_numbers(a, "an attribution"), 3)
    hints = {1: "plot.bars(names, a, ax, label='score')", 5: "plot.slices(x[0], a[0], plt.figure())"}
    hint = hints.get(numbers.ndim, "a[0]")
    is_map = numbers.ndim in (2, 3) and numbers.size > 0
    require(is_map, "plot: one attribution is (C, H, W) or (H, W)", numbers.shape, hint)
    if numbers.ndim == 3:
        return numbers.sum(0)
    return numbers


def _choose_alpha(heat: NDArray, over: bool, underlay: _Underlay, opacity: float | None) -> float | NDArray:
    """Opacity of the map, one for all pixels, or over colours one a pixel, that grows with its magnitude."""
    require(underlay in ("grey", "colour"), 'plot: underlay must be "grey" or "colour"', underlay, 'underlay="grey"')
    in_colour = over and underlay == "colour"
    default = _OVER_GREY if over and not in_colour else 1.0
    full = default if opacity is None else opacity
    require(0 <= full <= 1, "plot: opacity must lie in [0, 1]", opacity, "opacity=0.75")
    if in_colour:
        return full * np.sqrt(np.abs(heat).clip(0, 1))
    return full


def _draw_below(
    under: ArrayLike | Tensor, underlay: _Underlay, ax: Axes, extent: tuple[float, float, float, float]
) -> None:
    """Draw the picture that a map lies over."""
    if underlay == "colour":
        image = np.moveaxis(read_picture(under), 0, -1)
        paler = 1 - _PALENESS * (1 - image)
        ax.imshow(paler, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
        return
    grey = drop_batch_axis(read_numbers(under, "a picture"), 3)
    require(grey.ndim in (2, 3), "plot: the picture below is (C, H, W)", grey.shape, "under=x[0]")
    grey = read_picture(grey.mean(0, keepdims=True) if grey.ndim == 3 else grey[None])[0]
    # vmin far below black: the picture comes out light, so that the map on it can be read
    ax.imshow(grey, cmap="gray", vmin=-1.5, vmax=1, extent=extent, interpolation="nearest")


def _pixel_extent(heat: NDArray) -> tuple[float, float, float, float]:
    """Return where the edges of a picture lie in coordinates of the map's pixels: left, right, bottom, top."""
    height, width = heat.shape
    return (-0.5, width - 0.5, height - 0.5, -0.5)


def outline(mask: ArrayLike | Tensor, ax: Axes) -> Axes:
    """Draw the border of a mask `(1, H, W)` or `(H, W)` along the edges of its pixels."""
    inside = _read_labels(mask, "a mask")
    return _draw_mask(inside, ax, inside.shape)


def _draw_mask(inside: NDArray, ax: Axes, shape: tuple[int, ...]) -> Axes:
    closed = np.pad(inside != 0, 1)  # a mask at the border of the picture has an edge there too
    return _draw_borders(closed, ax, shape, OUTLINE, 1.2)


def _draw_regions(numbers: NDArray, ax: Axes, shape: tuple[int, ...]) -> Axes:
    return _draw_borders(np.pad(numbers, 1, mode="edge"), ax, shape, _BORDER, 0.6)


def _draw_borders(padded: NDArray, ax: Axes, shape: tuple[int, ...], colour: str, width: float) -> Axes:
    """Draw lines where neighbours differ, with one pixel around the picture, in coordinates of a map of `shape`."""
    rows, columns = padded.shape
    tall = shape[0] / (rows - 2)
    wide = shape[1] / (columns - 2)
    # First between rows, then between columns; pixels are centred at whole numbers, so borders lie at halves.
    row, column = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    left = column * wide - 0.5
    ax.hlines(row * tall - 0.5, left, left + wide, color=colour, linewidth=width)
    row, column = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    top = row * tall - 0.5
    ax.vlines(column * wide - 0.5, top, top + tall, color=colour, linewidth=width)
    return ax


def _read_labels(values: ArrayLike | Tensor, name: str) -> NDArray[np.float64]:
    """Numbers `(H, W)` of what is outlined; axes of one in front are taken away."""
    numbers = read_numbers(values, name)
    while numbers.ndim > 2 and len(numbers) == 1:
        numbers = numbers[0]
    word = name.split()[-1]
    first = ", ".join("0" * (numbers.ndim - 2)) or "None"
    require(
        numbers.ndim == 2,
        f"plot: {name} is (H, W)",
        numbers.shape,
        f"{word} = {word}[{first}]",
    )
    return numbers
