"""Pictures of numbers: arrays and an `ax` in, the `ax` out. Nothing here knows a model or a method."""

from collections.abc import Collection

import matplotlib as mpl
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.check import require

SIGNED = "RdBu_r"  # red for, blue against: told apart by all common forms of colour blindness, white is nothing
UNSIGNED = "viridis"
GREY = "0.55"  # controls
OUTLINE = "#ffb000"  # mask outlines; the IBM colour-blind-safe yellow


def style() -> None:
    """Fonts and colours of the collection, for every figure drawn afterwards in this process."""
    sns.set_theme("paper", "ticks", "colorblind", font_scale=1.1)
    mpl.rcParams.update({"figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True})
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10})
    mpl.rcParams.update({"pdf.fonttype": 42, "svg.hashsalt": "xnb"})  # text stays text; ids do not change


def picture(x: ArrayLike, ax: Axes, *, title: str = "") -> Axes:
    """Draw one picture: `(3, H, W)` or `(1, H, W)` in [0, 1], channels first as torch has them."""
    image = np.moveaxis(np.asarray(x, dtype=float), 0, -1)
    require(
        image.ndim == 3 and image.shape[2] in (1, 3),
        "plot: a picture is (C, H, W) with 1 or 3 channels",
        np.shape(x),
        "x[0]",
    )
    inside = bool(((image >= -1e-6) & (image <= 1 + 1e-6)).all())  # resizing overshoots by a rounding error
    require(inside, "plot: a picture lies in [0, 1]", (image.min(), image.max()), "x / 255")
    ax.imshow(image.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return _bare(ax, title)


def attribution(
    a: ArrayLike,
    ax: Axes,
    *,
    under: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    limit: float | None = None,
    title: str = "",
    colorbar: bool = True,
) -> Axes:
    """Draw one attribution `(C, H, W)`, summed over channels, on a scale symmetric around zero.

    Red speaks for the class, blue against it, white says nothing; the colour bar carries the raw numbers.

    Args:
        under: the picture `(C, H, W)`, drawn in light grey below.
        mask: true evidence `(1, H, W)`, drawn as an outline.
        limit: end of the colour scale; the largest magnitude in the map if omitted. Give maps that are to be
            compared the same limit.
    """
    heat = np.asarray(a, dtype=float).sum(0)
    end = limit or float(np.abs(heat).max()) or 1.0
    if under is not None:
        grey = np.asarray(under, dtype=float).mean(0)
        ax.imshow(grey, cmap="gray", vmin=-1.5, vmax=1, extent=_extent(heat), interpolation="nearest")
    shown = ax.imshow(
        heat, cmap=SIGNED, vmin=-end, vmax=end, interpolation="nearest", alpha=1 if under is None else 0.75
    )
    if mask is not None:
        outline(mask, ax)
    if colorbar:
        bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.03, ticks=[-end, 0, end])
        bar.ax.set_yticklabels([f"{-end:.2g}", "0", f"{end:.2g}"])
    return _bare(ax, title)


def _extent(heat: NDArray) -> tuple[float, float, float, float]:
    return (-0.5, heat.shape[1] - 0.5, heat.shape[0] - 0.5, -0.5)


def outline(mask: ArrayLike, ax: Axes) -> Axes:
    """Draw the border of a mask `(1, H, W)` along the edges of its pixels."""
    inside = np.pad(np.asarray(mask).astype(bool)[0], 1)
    for axis, draw in ((0, ax.hlines), (1, ax.vlines)):
        row, column = np.nonzero(np.diff(inside, axis=axis))
        along, across = (column, row) if axis == 0 else (row, column)
        draw(across - 0.5, along - 1.5, along - 0.5, color=OUTLINE, linewidth=1.2)
    return ax


def _bare(ax: Axes, title: str) -> Axes:
    ax.set(xticks=[], yticks=[], title=title)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def history(table: pd.DataFrame, ax: Axes, *, column: str, label: str, **line: object) -> Axes:
    """One line of a training history over the epochs: `column` of the table that `train.fit` returns."""
    ax.plot(table["number"], table[column], marker="o", markersize=3, label=label, **line)
    ax.set(xlabel="epoch", ylabel=column.split("_")[-1])
    return ax


def confusion(counts: ArrayLike, classes: tuple[str, ...], ax: Axes) -> Axes:
    """Counts of (true class, predicted class): rows are the truth."""
    table = pd.DataFrame(np.asarray(counts), index=classes, columns=classes)
    sns.heatmap(table, annot=True, fmt="d", cmap=UNSIGNED, cbar=False, square=True, ax=ax, annot_kws={"size": 7})
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def bars(names: list[str], values: ArrayLike, ax: Axes, *, label: str, error: ArrayLike | None = None) -> Axes:
    """Horizontal bars, the first name on top, each with its number and, where given, plus and minus `error`."""
    ends = np.asarray(values, dtype=float)
    sns.barplot(x=ends, y=names, ax=ax, color=sns.color_palette("colorblind")[0])
    margin = np.zeros_like(ends) if error is None else np.asarray(error, dtype=float)
    ax.errorbar(ends, range(len(ends)), xerr=margin, fmt="none", ecolor="black", elinewidth=1)
    for row, (end, more) in enumerate(zip(ends, margin, strict=True)):
        ax.annotate(f"{end:.3g}", (end + more, row), (3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set(xlabel=label, ylabel="")
    ax.margins(x=0.15)
    return ax


def predictions(x: ArrayLike, truth: list[str], said: list[str], figure: Figure, *, columns: int = 8) -> Figure:
    """Grid of pictures, each titled with what the model said; mistakes name the truth and are marked by a frame."""
    rows = -(-len(truth) // columns)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, one, true, guess in zip(axes, np.asarray(x), truth, said, strict=False):
        wrong = true != guess
        picture(one, ax, title=f"{guess}\n({true})" if wrong else guess)
        ax.title.set(fontsize=7, fontweight="bold" if wrong else "normal")
        if wrong:
            ax.patch.set(edgecolor="black", linewidth=4)
    for ax in axes[len(truth) :]:
        ax.set_visible(False)
    return figure


def structure(edges: list[tuple[str, str]], ax: Axes) -> Axes:
    """Draw which module feeds which, from top to bottom; a residual join has two arrows coming in."""
    graph = nx.DiGraph(edges)
    for layer, nodes in enumerate(nx.topological_generations(graph)):
        nx.set_node_attributes(graph, dict.fromkeys(nodes, layer), "layer")
    place = nx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    place = {node: (x, -y) for node, (x, y) in place.items()}
    depth = graph.nodes(data="layer")
    far = [(a, b) for a, b in graph.edges if depth[b] - depth[a] > 1]
    near = [edge for edge in graph.edges if edge not in far]
    for these, bend in ((near, "arc3"), (far, "arc3,rad=-0.65")):  # around what it skips
        nx.draw_networkx_edges(graph, place, these, ax=ax, node_size=500, arrowsize=10, connectionstyle=bend)
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "0.3"}
    nx.draw_networkx_labels(graph, place, ax=ax, font_size=9, bbox=box, clip_on=False)
    across = [x for x, _ in place.values()]
    ax.set_xlim(min(across) - 0.5, max(across) + 0.5)  # room for the labels, also where all is one chain
    ax.set_axis_off()
    return ax


def intervals(table: pd.DataFrame, ax: Axes, *, label: str, controls: Collection[str] = ()) -> Axes:
    """A point and its interval a row, the first on top: a table with columns `method`, `mean`, `low` and `high`."""
    rows = np.arange(len(table))
    for row, one in zip(rows, table.itertuples(), strict=True):
        colour = GREY if one.method in controls else sns.color_palette("colorblind")[0]
        ax.plot([one.low, one.high], [row, row], color=colour, linewidth=2)
        ax.plot(one.mean, row, "s" if one.method in controls else "o", color=colour, markersize=5)
    ax.set(xlabel=label, yticks=rows, yticklabels=table["method"], ylim=(len(table) - 0.5, -0.5))
    ax.grid(axis="y", color="0.92")
    return ax


def bump(ranks: pd.DataFrame, ax: Axes, *, controls: Collection[str] = ()) -> Axes:
    """Rank of each row by each column, 1 on top, as lines that cross where columns disagree; controls in grey."""
    colours = iter(sns.color_palette("colorblind", len(ranks)))
    places = np.arange(len(ranks.columns))
    for number, (name, row) in enumerate(ranks.iterrows()):
        line = {"color": GREY, "linestyle": "--"} if name in controls else {"color": next(colours)}
        ax.plot(places, row, marker="os^Dv"[number % 5], markersize=5, linewidth=1.5, **line)
    for place, side, align in ((0, -6, "right"), (-1, 6, "left")):
        for height, names in ranks.index.groupby(ranks.iloc[:, place]).items():
            where = {"xytext": (side, 0), "textcoords": "offset points", "ha": align, "va": "center", "fontsize": 8}
            ax.annotate(", ".join(names), (places[place], height), **where)
    ax.set(xticks=places, xticklabels=ranks.columns, yticks=[], ylim=(len(ranks) + 0.5, 0.5))
    ax.set_xlim(-0.1, places[-1] + 0.1)
    sns.despine(ax=ax, left=True)
    return ax


def agreement(table: pd.DataFrame, ax: Axes) -> Axes:
    """Correlations between the columns of a table, from -1, blue, to 1, red; the half below the diagonal."""
    shown = table.iloc[1:, :-1]
    above = np.triu(np.ones(shown.shape, dtype=bool), 1)
    sns.heatmap(shown, mask=above, annot=True, fmt=".1f", cmap=SIGNED, vmin=-1, vmax=1, square=True, cbar=False, ax=ax)
    ax.set(xlabel="", ylabel="")
    return ax


def front(table: pd.DataFrame, ax: Axes, *, cost: str, value: str, controls: Collection[str] = ()) -> Axes:
    """Cost against value, a row a point: a table with `cost`, `value` and `front`, which is joined by a line."""
    best = table[table["front"]].sort_values("cost")
    ax.step(best["cost"], best["value"], where="post", color=GREY, linewidth=1)
    for name, one in table.iterrows():
        control = name in controls
        filled = "white" if not one["front"] else GREY if control else sns.color_palette("colorblind")[0]
        edge = GREY if control else sns.color_palette("colorblind")[0]
        ax.plot(one["cost"], one["value"], "s" if control else "o", markerfacecolor=filled, markeredgecolor=edge)
    height = np.ptp(table["value"]) / 30 or 1.0  # of a line of text: points that are nearer share one
    for _, near in table.groupby([np.log1p(table["cost"]).round(1), (table["value"] / height).round()]):
        place = near["cost"].iloc[0], near["value"].iloc[0]
        ax.annotate(", ".join(near.index), place, (5, 3), textcoords="offset points", fontsize=8)
    ax.set_xscale("symlog", linthresh=1)
    ax.set(xlabel=cost, ylabel=value)
    ax.margins(0.1)
    return ax
