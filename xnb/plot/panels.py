"""Several results side by side in one look: a strip of maps, dots by training, a table of verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike
from torch import Tensor

from xnb.check import require
from xnb.plot.comparisons import GREY
from xnb.plot.maps import attribution
from xnb.plot.pictures import picture

# Light tints, so that black words stay to be read; blue and orange are told apart by every eye.
_TINTS = {
    "THEOREM": "#6baed6",
    "SUPPORTED": "#9ecae1",
    "REFUTED": "#fdae6b",
    "NOT REFUTED": "#deebf7",
    "OPEN": "#e0e0e0",
}


def strip(
    x: ArrayLike | Tensor,
    maps: Mapping[str, ArrayLike | Tensor],
    axes: Iterable[Axes],
    *,
    mask: ArrayLike | Tensor | None = None,
    controls: Collection[str] = (),
) -> list[Axes]:
    """Draw a picture and beside it maps of it, each on its own scale around zero, controls last with grey titles.

    A control that looks like the rest says that the picture is seen, not the network.

    Args:
        x: the picture `(C, H, W)` in [0, 1].
        maps: by name, as `attribution` takes them.
        axes: one for the picture and one for each map, from left to right.
        mask: the object, or what else is marked, `(1, H, W)`, outlined on picture and maps.
        controls: names among the maps.

    Raises:
        ValueError: too few axes.
    """
    axes = list(np.ravel(np.asarray(axes, dtype=object)))
    count = len(maps) + 1
    rule = "plot: a strip needs axes for the picture and for each map"
    require(len(axes) >= count, rule, len(axes), f"axes = figure.subplots(1, {count})")
    picture(x, axes[0], title="picture")
    ordered = sorted(maps, key=lambda name: name in controls)  # stable: the given order within each half
    for name, ax in zip(ordered, axes[1:], strict=False):
        attribution(maps[name], ax, mask=mask, title=name, colorbar=False)
        if name in controls:
            ax.title.set_color("0.45")
    return axes


def dots(
    values: Mapping[str, Sequence[float]],
    ax: Axes,
    *,
    label: str,
    bound: float | None = None,
    stored: Mapping[str, Sequence[float]] | None = None,
    controls: Collection[str] = (),
    spans: Mapping[str, tuple[float, float]] | None = None,
) -> Axes:
    """Draw a row for each name with a dot for each training, the first name on top.

    Args:
        values: numbers by name, one for each training.
        label: of the axis of values.
        bound: what was said before the run, as a dashed line.
        stored: the same numbers of a run that came with the notebook, drawn as rings below the dots: where dots and
            rings part, this machine trains otherwise.
        controls: names drawn in grey.
        spans: ends of the interval of each mean by name, drawn as a bar behind the dots.
    """
    colour = sns.color_palette("colorblind")[0]
    for row, (name, numbers) in enumerate(values.items()):
        drawn = GREY if name in controls else colour
        if spans is not None and name in spans:
            ax.plot(spans[name], [row, row], color=drawn, linewidth=7, alpha=0.3, solid_capstyle="butt")
        if stored is not None and name in stored:
            rings = stored[name]
            heights = [row + 0.22] * len(rings)
            ax.plot(rings, heights, "o", markerfacecolor="none", markeredgecolor=drawn, markersize=6)
        ax.plot(numbers, [row] * len(numbers), "o", color=drawn, markersize=6, alpha=0.8)
    if bound is not None:
        ax.axvline(bound, color="black", linestyle="--", linewidth=1)
    ends = (len(values) - 0.5, -0.5)  # the larger first: rows then count from the top
    ax.set(xlabel=label, yticks=range(len(values)), yticklabels=list(values), ylim=ends)
    ax.grid(axis="y", color="0.92")
    return ax


def verdicts(words: pd.DataFrame, ax: Axes) -> Axes:
    """Draw a table of verdicts, a word and its tint in each cell; a cell without a word stays white.

    Args:
        words: rows and columns as they are to be named; values of `xnb.comparison.Verdict`, or "".
    """
    for row, (_, cells) in enumerate(words.iterrows()):
        for column, word in enumerate(cells):
            if word in _TINTS:
                # a gap between cells, so that a row of one verdict stays countable
                ax.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, color=_TINTS[word]))
                ax.text(column, row, word.lower(), ha="center", va="center", fontsize=8)
    rows, columns = words.shape
    ax.set(xticks=range(columns), xticklabels=words.columns, yticks=range(rows), yticklabels=words.index)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax
