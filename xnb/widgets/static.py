"""The picture that takes a widget's place where nothing moves: in a stored notebook, on paper."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.widgets.markup import BLUE


def figure(columns: int, width: float = 7.0, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """A figure that pyplot does not know, so that none is left open."""
    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, list(fig.subplots(1, columns, squeeze=False)[0])


def shown(rgb: NDArray, ax: Axes, title: str) -> Axes:
    """Pixels as they are."""
    ax.imshow(rgb, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    ax.spines[:].set_visible(False)
    return ax


def shares(names: Sequence[str], values: ArrayLike, ax: Axes) -> Axes:
    """Probabilities as bars, the first name on top."""
    drawn = ax.barh(list(names), values, color=BLUE)
    ax.bar_label(drawn, [f"{value:.1%}" for value in np.asarray(values)], padding=3, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.3), xticks=[0, 0.5, 1])
    ax.set_xlabel("probability", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def lines(curves: Mapping[str, ArrayLike], ax: Axes, *, across: str, up: str) -> Axes:
    """Curves from 0 to 1."""
    for (name, values), style in zip(curves.items(), ("-", "--", ":"), strict=False):
        ax.plot(range(1, len(values) + 1), values, style, label=name)
    ax.set_xlabel(across, fontsize=8)
    ax.set_ylabel(up, fontsize=8)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=7, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
