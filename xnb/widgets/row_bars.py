"""A row of a table as a picture: one bar a feature."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.widgets import pixels
from xnb.widgets.pixels import Pixels

# Inches at 100 pixels: two such pictures fit beside the controls.
_BARS_WIDTH = 3.0
_BAR_HEIGHT = 0.19
_AXIS_HEIGHT = 0.3


def draw_row_bars(values: ArrayLike, names: Sequence[str], end: float) -> Pixels:
    """Draw bars from nothing to each value, red above and blue below, on an axis from `-end` to `end`."""
    numbers = np.asarray(values, dtype=float)
    height = _BAR_HEIGHT * len(numbers) + _AXIS_HEIGHT
    fig = Figure(figsize=(_BARS_WIDTH, height), dpi=100)
    fig.set_layout_engine("none")  # the axes stand where they are put, whatever the style of the notebook says
    # The canvas is made by hand, as pyplot would keep the figure and is not safe in a second thread.
    canvas = FigureCanvasAgg(fig)
    bottom = _AXIS_HEIGHT / height
    ax = fig.add_axes((0.44, bottom, 0.5, 1 - bottom))
    _draw_bars(ax, numbers, names, end)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    return rgba[..., :3].copy()


def _draw_bars(ax: Axes, numbers: NDArray, names: Sequence[str], end: float) -> None:
    """Draw bars with the first feature on top, each in the full colour of its sign."""
    rows = np.arange(len(numbers))
    # At 0.7 of the scale, whose ends are so dark that red and blue look alike on a thin bar.
    colour_values = np.sign(numbers) * 0.7 * end
    colours = pixels.signed_colours(colour_values, end)
    ax.barh(rows, numbers, color=colours / 255)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ticks = [-end, 0, end]
    labels = [f"{-end:.2g}", "0", f"{end:.2g}"]
    ax.set(xlim=(-end, end), xticks=ticks, xticklabels=labels)
    ax.set_yticks(rows, names, fontsize=7)
    ax.set_ylim(len(numbers) - 0.5, -0.5)
    ax.tick_params(axis="x", labelsize=7)
    ax.spines[["top", "right", "left"]].set_visible(False)
