"""A row of a table as a picture: one bar a feature."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.widgets import pixels

WIDTH, LINE, MARGIN = 3.0, 0.19, 0.3  # inches at 100 pixels: two of them fit beside the controls


def drawn(values: ArrayLike, names: Sequence[str], end: float) -> NDArray[np.uint8]:
    """Bars from nothing to each value, red above and blue below, on an axis that ends at `end` on both sides."""
    numbers = np.asarray(values, dtype=float)
    height = LINE * len(numbers) + MARGIN
    fig = Figure(figsize=(WIDTH, height), dpi=100, layout="none")
    ax, canvas = fig.add_axes((0.44, MARGIN / height, 0.5, 1 - MARGIN / height)), FigureCanvasAgg(fig)
    rows = np.arange(len(numbers))
    ax.barh(rows, numbers, color=pixels.signed(np.sign(numbers) * 0.7 * end, end) / 255)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(xlim=(-end, end), xticks=[-end, 0, end], xticklabels=[f"{-end:.2g}", "0", f"{end:.2g}"])
    ax.set_yticks(rows, names, fontsize=7)
    ax.set_ylim(len(numbers) - 0.5, -0.5)
    ax.tick_params(axis="x", labelsize=7)
    ax.spines[["top", "right", "left"]].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
