"""The figure that takes a widget's place where nothing moves: in a stored notebook, on paper."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.widgets.markup import BLUE

_LINE_STYLES = ("-", "--", ":")


def new_figure(columns: int, width: float = 7.0, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """Make a figure with axes side by side; pyplot does not know it, so that none is left open."""
    fig = Figure(figsize=(width, height), layout="constrained")
    grid = fig.subplots(1, columns, squeeze=False)
    return fig, list(grid[0])


def show_pixels(rgb: NDArray, ax: Axes, title: str) -> Axes:
    """Show pixels as they are, without smoothing."""
    ax.imshow(rgb, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    ax.spines[:].set_visible(False)
    return ax


def show_probabilities(names: Sequence[str], values: ArrayLike, ax: Axes) -> Axes:
    """Show probabilities as bars, the first name on top."""
    bars = ax.barh(list(names), values, color=BLUE)
    labels = [f"{value:.1%}" for value in np.asarray(values)]
    ax.bar_label(bars, labels, padding=3, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.3), xticks=[0, 0.5, 1])
    ax.set_xlabel("probability", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def show_curves(
    curves: Mapping[str, Sequence[float]],
    ax: Axes,
    *,
    xlabel: str,
    ylabel: str,
) -> Axes:
    """Show curves over the steps 1, 2, ..., at most three of them, told apart by dashes as well."""
    for (name, values), style in zip(curves.items(), _LINE_STYLES, strict=False):
        steps = range(1, len(values) + 1)
        ax.plot(steps, values, style, label=name)
    ax.set_xlabel(xlabel, fontsize=8)
    ax.set_ylabel(ylabel, fontsize=8)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=7, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def show_empty(ax: Axes, steps: int, *, xlabel: str, ylabel: str) -> Axes:
    """Show the axes of `show_curves` before there are any, so that a reader sees what is to come."""
    ax.set(xlim=(0, steps), ylim=(0, 1), xticks=[0, steps], yticks=[0, 1])
    ax.text(0.5, 0.5, "nothing is learned yet", transform=ax.transAxes, ha="center", fontsize=8, color="0.4")
    ax.set_xlabel(xlabel, fontsize=8)
    ax.set_ylabel(ylabel, fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
