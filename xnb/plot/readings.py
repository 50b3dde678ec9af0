"""What a metric reads of a map, as a picture: the part that counts, and nothing of what it leaves out."""

from collections.abc import Callable

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import find_entry
from xnb.plot.maps import attribution
from xnb.plot.scale import read_numbers

_BINS = 12


def reading(
    metric: str,
    a: ArrayLike | Tensor,
    ax: Axes,
    *,
    mask: ArrayLike | Tensor,
) -> Axes:
    """Draw what a metric of localisation reads of a map `(C, H, W)` whose mask is `(1, H, W)`.

    `pointing_game`: a star on the largest value; `energy_pointing`: the positive part; `relevance_rank`: as many of
    the largest values as the mask has pixels; `auc`: how often values occur inside the mask, orange, and outside,
    blue. Where values are equal, the first of them is drawn, and the metric shares them out.

    Args:
        metric: its name in `xnb.metrics.catalog()`.

    Raises:
        ValueError: a metric of which there is no picture.
    """
    draw = find_entry(_READINGS, metric, "plot: there is no picture of what this metric reads")
    heat = read_numbers(a, "an attribution").sum(0)
    inside = read_numbers(mask, "a mask")[0] > 0
    return draw(heat, inside, ax)


def _draw_largest_value(heat: NDArray, inside: NDArray, ax: Axes) -> Axes:
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    attribution(heat, ax, mask=inside, colorbar=False)
    ax.plot(column, row, "*", color="black", markersize=9)
    return ax


def _draw_positive_part(heat: NDArray, inside: NDArray, ax: Axes) -> Axes:
    return attribution(heat.clip(min=0), ax, mask=inside, colorbar=False)


def _draw_largest_values(heat: NDArray, inside: NDArray, ax: Axes) -> Axes:
    order = heat.ravel().argsort(kind="stable")[::-1]
    largest = np.zeros(heat.size)
    largest[order[: inside.sum()]] = 1
    return attribution(largest.reshape(heat.shape), ax, mask=inside, colorbar=False)


def _draw_values(heat: NDArray, inside: NDArray, ax: Axes) -> Axes:
    """Draw how often values occur inside the mask, orange, and outside, blue."""
    blue, orange, *_ = sns.color_palette("colorblind")
    edges = np.linspace(heat.min(), heat.max(), _BINS + 1)
    for pixels, colour in ((inside, orange), (~inside, blue)):
        ax.hist(heat[pixels], edges.tolist(), density=True, alpha=0.6, color=colour)
    ax.set(yticks=[], xlabel="value")
    return ax


_READINGS: dict[str, Callable[[NDArray, NDArray, Axes], Axes]] = {
    "pointing_game": _draw_largest_value,
    "energy_pointing": _draw_positive_part,
    "relevance_rank": _draw_largest_values,
    "auc": _draw_values,
}


def removal_gap(
    most_first: ArrayLike | Tensor,
    least_first: ArrayLike | Tensor,
    ax: Axes,
) -> Axes:
    """Draw two removal curves and the gap between them, which is the SRG where the lower one is the solid one.

    Args:
        most_first: score after each step, the most important removed first; drawn as a solid line.
        least_first: the least important first; dashed.
    """
    most, least = (read_numbers(curve, "a curve") for curve in (most_first, least_first))
    share = np.linspace(0, 1, len(most))
    colour = sns.color_palette("colorblind")[0]
    ax.plot(share, most, "-", color=colour)
    ax.plot(share, least, "--", color=colour)
    ax.fill_between(share, most, least, color=colour, alpha=0.15)
    ax.set(xlabel="share removed", ylabel="score")
    return ax


def forecast(
    values: ArrayLike | Tensor,
    drops: ArrayLike | Tensor,
    ax: Axes,
) -> Axes:
    """Draw a dot for each part of an input: what the map says of it, and what the score loses without it."""
    forecasts = read_numbers(values, "values")
    ax.plot(forecasts, read_numbers(drops, "drops"), "o", color=sns.color_palette("colorblind")[2], markersize=3)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set(xlabel="value of the part", ylabel="drop")
    return ax
