"""Pictures of what `xnb.compare` measured: intervals, ranks, agreement, and what cheapness costs."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xnb.plot.scale import SIGNED

GREY = "0.55"  # controls
_End: TypeAlias = tuple[str, float, float, tuple[float, ...]]  # of a line: its name, cost, value and colour


def intervals(
    table: pd.DataFrame,
    ax: Axes,
    *,
    label: str,
    controls: Collection[str] = (),
) -> Axes:
    """Draw a point and its interval a row, the first on top.

    Args:
        table: with columns `method`, `mean`, `low` and `high`, as `xnb.comparison.intervals` returns.
        label: of the axis of values.
        controls: methods drawn in grey, with a square.
    """
    rows = range(len(table))
    columns = zip(table["method"], table["mean"], table["low"], table["high"], strict=True)
    for row, (method, mean, low, high) in enumerate(columns):
        is_control = method in controls
        colour = _pick_colour(is_control)
        ax.plot([low, high], [row, row], color=colour, linewidth=2)
        ax.plot(mean, row, _pick_marker(is_control), color=colour, markersize=5)
    ends = (len(table) - 0.5, -0.5)  # the larger first: rows then count from the top
    ax.set(xlabel=label, yticks=rows, yticklabels=table["method"], ylim=ends)
    ax.grid(axis="y", color="0.92")
    return ax


def _pick_colour(is_control: bool) -> str | tuple[float, float, float]:
    if is_control:
        return GREY
    return sns.color_palette("colorblind")[0]


def _pick_marker(is_control: bool) -> str:
    return "s" if is_control else "o"


def bump(
    ranks: pd.DataFrame,
    ax: Axes,
    *,
    controls: Collection[str] = (),
    highlight: Collection[str] | None = None,
) -> Axes:
    """Draw the rank of each row by each column, 1 on top, as lines that cross where columns disagree.

    Args:
        ranks: as `xnb.comparison.ranks` returns: methods as rows, metrics as columns.
        controls: methods drawn in grey, dashed.
        highlight: methods drawn in colour, all others in grey: more than four are not followed by eye. All if omitted.
    """
    coloured = [name for name in ranks.index if name not in controls and (highlight is None or name in highlight)]
    colours = dict(zip(coloured, sns.color_palette("colorblind", len(coloured)), strict=True))
    columns = range(len(ranks.columns))
    last = columns[-1]
    for number, (name, row) in enumerate(ranks.iterrows()):
        in_colour = name in colours
        marker = "os^Dv"[number % 5]  # so many colours are not told apart by eye alone
        ax.plot(
            columns,
            row,
            marker=marker,
            markersize=5 if in_colour else 3,
            linewidth=2 if in_colour else 1,
            linestyle="--" if name in controls else "-",
            color=colours.get(name, GREY),
            zorder=3 if in_colour else 2,
        )
    _name_lines(ranks.iloc[:, 0], 0, ax, colours, offset=-6, side="right")
    _name_lines(ranks.iloc[:, -1], last, ax, colours, offset=6, side="left")
    ax.set(xticks=columns, xticklabels=ranks.columns, yticks=[], ylim=(len(ranks) + 0.5, 0.5))
    ax.set_xlim(-0.1, last + 0.1)
    sns.despine(ax=ax, left=True)
    return ax


def _name_lines(
    ranks: pd.Series,
    x: int,
    ax: Axes,
    coloured: Collection[str],
    *,
    offset: int,
    side: str,
) -> None:
    """Write the names of the rows beside where their lines begin or end; names of equal rank in one text."""
    for rank, tied in ranks.groupby(ranks):
        ax.annotate(
            ", ".join(tied.index),
            (x, rank),
            xytext=(offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color="black" if any(name in coloured for name in tied.index) else "0.45",
        )


def agreement(table: pd.DataFrame, ax: Axes) -> Axes:
    """Draw correlations between the columns of a table, from -1, blue, to 1, red; the half below the diagonal."""
    below = table.iloc[1:, :-1]
    above = np.triu(np.ones(below.shape, dtype=bool), 1)
    sns.heatmap(
        below,
        mask=above,
        annot=below.round(1) + 0.0,  # no minus before a zero
        fmt=".1f",
        cmap=SIGNED,
        vmin=-1,
        vmax=1,
        square=True,
        cbar=False,
        ax=ax,
    )
    ax.set(xlabel="", ylabel="")
    return ax


def front(
    table: pd.DataFrame,
    ax: Axes,
    *,
    cost: str,
    value: str,
    controls: Collection[str] = (),
) -> Axes:
    """Draw cost against value, a row a point; what nobody beats is filled and joined by a line.

    Args:
        table: with columns `cost`, `value` and `front`, as `xnb.comparison.pareto` returns.
        cost: label of the axis of costs.
        value: label of the axis of values.
        controls: rows drawn in grey, as squares.
    """
    best = table[table["front"]].sort_values("cost")
    ax.step(best["cost"], best["value"], where="post", color=GREY, linewidth=1)
    for name, row in table.iterrows():
        is_control = name in controls
        colour = _pick_colour(is_control)
        filling = colour if row["front"] else "white"
        marker = _pick_marker(is_control)
        ax.plot(row["cost"], row["value"], marker, markerfacecolor=filling, markeredgecolor=colour)
    _name_points(table, ax)
    ax.set_xscale("symlog", linthresh=1)  # as a logarithm, but some methods cost nothing
    ax.set(xlabel=cost, ylabel=value)
    ax.margins(0.1)
    return ax


def _name_points(table: pd.DataFrame, ax: Axes) -> None:
    """Write the names of the rows beside their points; points less than a line of text apart share one text."""
    line_height = np.ptp(table["value"]) / 30 or 1.0
    columns = np.log1p(table["cost"]).round(1)
    lines = (table["value"] / line_height).round()
    for _, cluster in table.groupby([columns, lines]):
        first = (cluster["cost"].iloc[0], cluster["value"].iloc[0])
        names = ", ".join(cluster.index)
        ax.annotate(names, first, xytext=(5, 3), textcoords="offset points", fontsize=8)


def budgets(table: pd.DataFrame, ax: Axes, *, cost: str, value: str) -> Axes:
    """Draw what a larger budget buys: a line a method over its costs, each point with its interval, named at its end.

    Methods of one cost are points, named on their left; where several cost the same they are drawn side by side.

    Args:
        table: with columns `method`, `cost`, `mean`, `low` and `high`, a row for each budget of a method.
        cost: label of the axis of costs, a logarithm.
        value: label of the axis of values.
    """
    points: list[_End] = []
    lines: list[_End] = []
    methods = list(table["method"].unique())
    for name, colour in zip(methods, sns.color_palette("colorblind", len(methods)), strict=True):
        rows = table[table["method"] == name].sort_values("cost")
        # Methods without a budget cost about the same: moved aside, their intervals do not cover each other.
        shift = 1.13 ** len(points) if len(rows) == 1 else 1.0
        costs = rows["cost"] * shift
        spans = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        marker = "os^Dv"[methods.index(name) % 5]
        ax.errorbar(costs, rows["mean"], spans, color=colour, marker=marker, markersize=5, capsize=2)
        named = points if len(rows) == 1 else lines
        x = float(costs.iloc[-1])
        y = float(rows["mean"].iloc[-1])
        named.append((name, x, y, colour))
    ax.set_xscale("log")
    ax.set(xlabel=cost, ylabel=value)
    line_height = 0.055 * np.ptp(ax.get_ylim())
    _name_in_column(points, ax, line_height, side="right")
    _name_in_column(lines, ax, line_height, side="left")
    return ax


def _name_in_column(
    ends: Sequence[_End],
    ax: Axes,
    line_height: float,
    *,
    side: str,
) -> None:
    """Write names in one column beside all ends, at their heights but a line apart, each in its colour."""
    if not ends:
        return
    outermost = max if side == "left" else min
    x = outermost(end[1] for end in ends)
    offset = 8 if side == "left" else -8
    ordered = sorted(ends, key=lambda end: end[2])
    heights = spread_apart([end[2] for end in ordered], line_height)
    for (name, _, _, colour), height in zip(ordered, heights, strict=True):
        ax.annotate(
            name,
            (x, height),
            xytext=(offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )


def spread_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return rising heights that are at least `gap` apart, as near to the given ones as their order lets them be.

    Neighbours that are too close are moved apart together, and their mean stays.
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _lowest(groups[-1], gap) - _highest(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_lowest(group, gap) + gap * number for group in groups for number in range(len(group))]


def _lowest(group: list[float], gap: float) -> float:
    half = gap * (len(group) - 1) / 2
    return float(np.mean(group)) - half


def _highest(group: list[float], gap: float) -> float:
    half = gap * (len(group) - 1) / 2
    return float(np.mean(group)) + half
