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
from numpy.typing import ArrayLike

from xnb.plot.pictures import picture

_SHORT_NAME = 3  # letters: longer names of columns stand upright, or they would run into each other
_MISTAKE = "#d55e00"  # of the palette "colorblind"


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


def history(table: pd.DataFrame, ax: Axes, *, column: str, label: str, **line: Any) -> Axes:
    """Draw one line of a training history over the epochs: `column` of the table that `xnb.training.fit` returns."""
    ax.plot(table["number"], table[column], marker="o", markersize=3, label=label, **line)
    ax.set(xlabel="epoch", ylabel=column.split("_")[-1])
    return ax


def confusion(counts: ArrayLike, classes: tuple[str, ...], ax: Axes) -> Axes:
    """Draw the counts of (true class, predicted class): rows are the truth.

    Right answers stand in grey on the diagonal. Colour is for mistakes alone, on a scale that ends at the most
    frequent one; pairs that were never confused stay empty.
    """
    table = np.asarray(counts)
    on_diagonal = np.eye(len(classes), dtype=bool)
    most = np.where(on_diagonal, 0, table).max(initial=1)
    mistakes = np.ma.masked_where(on_diagonal | (table == 0), table)
    ax.imshow(mistakes, cmap="Oranges", vmin=0, vmax=1.3 * most)  # black digits stay to be read
    for row, column in np.argwhere((table > 0) | on_diagonal):
        colour = "0.6" if row == column else "black"
        ax.text(column, row, table[row, column], ha="center", va="center", fontsize=8, color=colour)
    places = range(len(classes))
    ax.set_xticks(places, classes)
    ax.set_yticks(places, classes)
    ax.set(xlabel="predicted", ylabel="true")
    ax.tick_params(length=0)
    if max(map(len, classes)) > _SHORT_NAME:
        ax.tick_params(axis="x", rotation=90)
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
        picture(image, ax, title=f"says {guess}")
        ax.title.set(fontsize=9)
        # a line below every picture, also where it has no words: all pictures then have one size
        ax.set_xlabel("" if true == guess else f"is {true}", fontsize=9, color=_MISTAKE)
        if true != guess:
            _frame_picture(ax)
    for ax in axes[len(truth) :]:
        ax.set_visible(False)
    return figure


def _frame_picture(ax: Axes) -> None:
    """Draw a frame in the colour of mistakes, which is seen on black and on white pictures."""
    ax.title.set(color=_MISTAKE, fontweight="bold")
    ax.spines[:].set(visible=True, color=_MISTAKE, linewidth=3)


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
    """Draw arrows to the next layer straight, and others past the boxes of the layers that they skip."""
    depth = graph.nodes(data="layer")
    skips = [(start, end) for start, end in graph.edges if depth[end] - depth[start] > 1]
    steps = [edge for edge in graph.edges if edge not in skips]
    # node_size: of nodes that are not drawn; arrows end at their border and leave the labels free.
    nx.draw_networkx_edges(graph, positions, steps, connectionstyle="arc3", node_size=500, arrowsize=10, ax=ax)
    for start, end in skips:
        # Of the wider box in points: its border, and half of what a letter of font size 9 is wide, each.
        half_width = 5 + 2.8 * max(len(start), len(end))
        height = positions[start][1] - positions[end][1]
        # Sideways out of one box and sideways into the other, as far out as the widest box between them.
        sideways = f"bar,fraction={-0.55 / height:.3g}"
        size = (2 * half_width) ** 2  # networkx measures nodes by their area
        nx.draw_networkx_edges(
            graph,
            positions,
            [(start, end)],
            connectionstyle=sideways,
            node_size=size,
            arrowsize=10,
            ax=ax,
        )
