"""Published numbers and ours in one row each: a diamond for theirs, a dot with its interval for ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes

from reproduce.verdicts import NOT

_THEIRS = "0.35"
_LIFT = 0.16  # of theirs above the line, and of ours below it


def draw_rows(rows: Sequence[Mapping[str, Any]], ax: Axes, *, label: str, title: str = "") -> Axes:
    """Draw each row of a result, the first on top; what was not reproduced is an orange square.

    Args:
        rows: of one column of a stored result.
        label: of the axis of values.
    """
    blue, orange = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[3]
    for place, row in enumerate(rows):
        colour, marker = (orange, "s") if row["verdict"] == NOT else (blue, "o")
        reach = 2 * row["spread"]
        theirs: dict[str, Any] = {"color": _THEIRS, "marker": "D", "markersize": 5, "markerfacecolor": "white"}
        ax.errorbar(row["published"], place - _LIFT, xerr=reach or None, capsize=2, linestyle="none", **theirs)
        ends = [[max(0.0, row["ours"] - row["low"])], [max(0.0, row["high"] - row["ours"])]]
        ax.errorbar(row["ours"], place + _LIFT, xerr=ends, color=colour, marker=marker, markersize=6, capsize=2)
    names = [row["row"] for row in rows]
    ax.set(yticks=range(len(rows)), yticklabels=names, ylim=(len(rows) - 0.5, -0.5), xlabel=label, title=title)
    ax.grid(axis="y", color="0.92")
    return ax


def select_rows(record: Mapping[str, Any], column: str) -> list[Mapping[str, Any]]:
    """Return the rows of one column of a stored result."""
    return [row for row in record["rows"] if row["column"] == column]
