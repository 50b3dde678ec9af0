"""Pictures of numbers: arrays and an `ax` in, the `ax` out. Nothing here knows a model or a method."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.check import require

SIGNED = "RdBu_r"  # red for, blue against: all common forms of colour blindness tell them apart, white is nothing
UNSIGNED = "viridis"
OUTLINE = "#ffb000"  # mask outlines; the IBM colour-blind-safe yellow


def style() -> None:
    """Set fonts and colours of the collection for every figure drawn afterwards in this process."""
    sns.set_theme("paper", "ticks", "colorblind", font_scale=1.1)
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "pdf.fonttype": 42,  # text stays text
            "svg.hashsalt": "xnb",  # ids stay the same from run to run
        }
    )


def picture(x: ArrayLike, ax: Axes, *, title: str = "") -> Axes:
    """Draw one picture: `(3, H, W)` or `(1, H, W)` in [0, 1], channels first as torch has them."""
    image = np.moveaxis(np.asarray(x, dtype=float), 0, -1)
    coloured = image.ndim == 3 and image.shape[2] in (1, 3)
    require(coloured, "plot: a picture is (C, H, W) with 1 or 3 channels", np.shape(x), "x[0]")
    low = image.min()
    high = image.max()
    # Resizing overshoots by a rounding error. Written so that a picture with NaN is refused too.
    in_range = bool(low >= -1e-6 and high <= 1 + 1e-6)
    require(in_range, "plot: a picture lies in [0, 1]", (low, high), "x / 255")
    ax.imshow(image.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return _hide_axes(ax, title)


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
    # A map of zeros has no scale of its own, and one from 0 to 0 cannot be drawn.
    end = limit or float(np.abs(heat).max()) or 1.0
    opacity = 1.0
    if under is not None:
        opacity = 0.75
        grey = np.asarray(under, dtype=float).mean(0)
        # vmin far below black: the picture comes out light, so that the map on it can be read
        ax.imshow(
            grey,
            cmap="gray",
            vmin=-1.5,
            vmax=1,
            extent=_pixel_extent(heat),
            interpolation="nearest",
        )
    colours = ax.imshow(
        heat,
        cmap=SIGNED,
        vmin=-end,
        vmax=end,
        interpolation="nearest",
        alpha=opacity,
    )
    if mask is not None:
        outline(mask, ax)
    if colorbar:
        bar = ax.figure.colorbar(colours, ax=ax, fraction=0.046, pad=0.03, ticks=[-end, 0, end])
        bar.ax.set_yticklabels([f"{-end:.2g}", "0", f"{end:.2g}"])
    return _hide_axes(ax, title)


def _pixel_extent(heat: NDArray) -> tuple[float, float, float, float]:
    """Return where the edges of a picture lie in coordinates of the map's pixels: left, right, bottom, top."""
    height, width = heat.shape
    return (-0.5, width - 0.5, height - 0.5, -0.5)


def outline(mask: ArrayLike, ax: Axes) -> Axes:
    """Draw the border of a mask `(1, H, W)` along the edges of its pixels."""
    padded = np.pad(np.asarray(mask).astype(bool)[0], 1)  # a mask at the border of the picture has an edge there too
    row, column = np.nonzero(np.diff(padded, axis=0))
    ax.hlines(row - 0.5, column - 1.5, column - 0.5, color=OUTLINE, linewidth=1.2)
    row, column = np.nonzero(np.diff(padded, axis=1))
    ax.vlines(column - 0.5, row - 1.5, row - 0.5, color=OUTLINE, linewidth=1.2)
    return ax


def _hide_axes(ax: Axes, title: str) -> Axes:
    ax.set(xticks=[], yticks=[], title=title)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def history(table: pd.DataFrame, ax: Axes, *, column: str, label: str, **line: Any) -> Axes:
    """Draw one line of a training history over the epochs: `column` of the table that `xnb.training.fit` returns."""
    ax.plot(table["number"], table[column], marker="o", markersize=3, label=label, **line)
    ax.set(xlabel="epoch", ylabel=column.split("_")[-1])
    return ax


def confusion(counts: ArrayLike, classes: tuple[str, ...], ax: Axes) -> Axes:
    """Draw the counts of (true class, predicted class): rows are the truth."""
    table = pd.DataFrame(np.asarray(counts), index=classes, columns=classes)
    sns.heatmap(
        table,
        annot=True,
        fmt="d",
        cmap=UNSIGNED,
        cbar=False,
        square=True,
        ax=ax,
        annot_kws={"size": 7},
    )
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def bars(
    names: list[str],
    values: ArrayLike,
    ax: Axes,
    *,
    label: str,
    error: ArrayLike | None = None,
) -> Axes:
    """Draw horizontal bars, the first name on top, each with its number and, where known, plus and minus `error`."""
    lengths = np.asarray(values, dtype=float)
    errors = np.zeros_like(lengths) if error is None else np.asarray(error, dtype=float)
    sns.barplot(x=lengths, y=names, ax=ax, color=sns.color_palette("colorblind")[0])
    ax.errorbar(
        lengths,
        range(len(lengths)),
        xerr=errors,
        fmt="none",
        ecolor="black",
        elinewidth=1,
    )
    ends = lengths + errors  # a number stands to the right of its error bar, not across it
    for row, (length, end) in enumerate(zip(lengths, ends, strict=True)):
        ax.annotate(
            f"{length:.3g}",
            (end, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set(xlabel=label, ylabel="")
    ax.margins(x=0.15)
    return ax


def predictions(
    x: ArrayLike,
    truth: Sequence[str],
    predicted: Sequence[str],
    figure: Figure,
    *,
    columns: int = 8,
) -> Figure:
    """Draw a grid of pictures, each titled with the predicted class; mistakes name the truth and have a frame."""
    rows = -(-len(truth) // columns)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    # not strict: the last row may have more axes than there are pictures
    for ax, image, true, guess in zip(axes, np.asarray(x), truth, predicted, strict=False):
        if true == guess:
            picture(image, ax, title=guess)
            ax.title.set(fontsize=7, fontweight="normal")
        else:
            picture(image, ax, title=f"{guess}\n({true})")
            ax.title.set(fontsize=7, fontweight="bold")
            ax.patch.set(edgecolor="black", linewidth=4)
    for ax in axes[len(truth) :]:
        ax.set_visible(False)
    return figure


def structure(edges: list[tuple[str, str]], ax: Axes) -> Axes:
    """Draw which module feeds which, from top to bottom; a residual join has two arrows coming in."""
    graph = nx.DiGraph(edges)
    for layer, nodes in enumerate(nx.topological_generations(graph)):
        nx.set_node_attributes(graph, dict.fromkeys(nodes, layer), "layer")
    layout = nx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    positions = {node: (x, -y) for node, (x, y) in layout.items()}
    _draw_arrows(graph, positions, ax)
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "0.3"}
    nx.draw_networkx_labels(graph, positions, ax=ax, font_size=9, bbox=box, clip_on=False)
    across = [x for x, _ in positions.values()]
    ax.set_xlim(min(across) - 0.5, max(across) + 0.5)  # room for the labels, also where all is one chain
    ax.set_axis_off()
    return ax


def _draw_arrows(graph: nx.DiGraph, positions: dict[str, tuple[float, float]], ax: Axes) -> None:
    """Draw arrows to the next layer straight, and others in a bend around the layers that they skip."""
    depth = graph.nodes(data="layer")
    skips = [(start, end) for start, end in graph.edges if depth[end] - depth[start] > 1]
    steps = [edge for edge in graph.edges if edge not in skips]
    # node_size: of nodes that are not drawn; arrows end at their border and leave the labels free.
    arrows = {"ax": ax, "node_size": 500, "arrowsize": 10}
    nx.draw_networkx_edges(graph, positions, steps, connectionstyle="arc3", **arrows)
    nx.draw_networkx_edges(graph, positions, skips, connectionstyle="arc3,rad=-0.65", **arrows)
