"""Attention, layer by layer: what each token reads, and for bags which instances speak for a class."""

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xnb.types import Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.attention_rows import (
    LayerAttention,
    RowSelection,
    attention_row,
    capture_layers,
    draw_attention_row,
    draw_query,
    token_layout,
    token_name,
)
from xnb.widgets.bags import BagPanel
from xnb.widgets.cache import BoundedCache
from xnb.widgets.clickable import ClickablePicture
from xnb.widgets.explained import Data, Subject, likeliest_classes, prepare_subject
from xnb.widgets.panel import AUTOMATIC, Panel, make_dropdown, make_input_slider, make_slider, selected_value
from xnb.widgets.pixels import Pixels

_MAX_TOKENS_LISTED = 4
_MAX_CLASSES_READ = 4
_MAX_CLASSES_STATIC = 6


def attention(
    model: Model,
    data: Data,
    *,
    classes: Sequence[str] | None = None,
    picture: int = 0,
) -> "_AttentionPanel | BagPanel":
    """Read a model's attention: layer, head, query (click a patch) and rollout depth; of bags, instances by evidence.

    Weights say what is read, not what it says: they have no sign and no class. `xnb.access.hooks.attention_proof` shows
    that they are those which the model used.

    Args:
        data: the test part of a split, a part, or inputs alone: pictures, or bags `(B, N, C, H, W)`.
        classes: their names; those of the split if omitted.
        picture: which input is shown first.

    Raises:
        ValueError: no attention was seen.
    """
    subject = prepare_subject(model, data, classes)
    if subject.x.ndim == 5:
        return BagPanel(subject, picture)
    return _AttentionPanel(subject, picture)


class _AttentionPanel(Panel):
    """The widget of `attention` for pictures.

    Attributes:
        front: how many tokens stand before the patches.
        clickable: the picture, whose patches can be clicked.
    """

    def __init__(self, subject: Subject, picture: int) -> None:
        self.subject = subject
        self.captures: BoundedCache[int, list[LayerAttention]] = BoundedCache()
        layers = self.layers(picture)
        tokens = layers[-1].weights.shape[-1]
        self.front, side = token_layout(tokens)
        size = pixels.display_size(*subject.x.shape[2:])
        self.clickable = ClickablePicture(side, side, size, self.select_patch, "ask")
        controls = _attention_controls(subject, layers, picture)
        super().__init__(controls, ("map", "facts"), before=[self.clickable])
        self.refresh()

    def layers(self, picture: int) -> list[LayerAttention]:
        """Attention of each layer for one input; the model is run once for it."""
        return self.captures.get(picture, lambda: capture_layers(self.subject, picture))

    def select_patch(self, row: int, column: int) -> None:
        """Select the patch that is clicked as the query."""
        query = self.front + row * self.clickable.columns + column
        slider = self.controls["query"]
        slider.value = min(query, slider.max)

    @property
    def selection(self) -> RowSelection:
        """What the controls select now."""
        values = {name: selected_value(control) for name, control in self.controls.items()}
        return RowSelection(**values)

    @property
    def picture(self) -> Pixels:
        """The weights over the picture, as they are shown."""
        selection = self.selection
        row = attention_row(self.layers(selection.picture), selection)
        return draw_attention_row(self.subject, row)

    def draw(self) -> Iterator[tuple[str, str]]:
        selection = self.selection
        layers = self.layers(selection.picture)
        row = attention_row(layers, selection)
        description = _describe_row(selection, row)

        # The picture is no area: it must stay below the buttons that are clicked, so it is drawn here.
        query = token_name(selection.query, len(row))
        alt = f"input {selection.picture}, asked: {query}"
        rgb = draw_query(self.subject, selection, len(row))
        self.clickable.html.value = markup.image_html(rgb, alt)

        image = markup.image_html(draw_attention_row(self.subject, row), description)
        end = float(row[self.front :].max())
        yield "map", markup.column_html(image, markup.scale_html(end, sign=False))
        yield "facts", self._facts_page(selection, row, description)

    def _facts_page(self, selection: RowSelection, row: NDArray, description: str) -> str:
        """What is read in numbers, beside what the model predicts."""
        most_read = markup.table_html("Most read", _row_facts(row))
        probabilities = self.subject.class_probabilities(selection.picture)
        likeliest = likeliest_classes(probabilities, _MAX_CLASSES_READ)
        bars = markup.bars_html(self.subject.class_names(likeliest), probabilities[likeliest])
        return markup.column_html(most_read, bars, markup.note_html(description), width="256px")

    def describe(self) -> str:
        return f"attention: input {self.selection.picture}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the query, what it reads, and the probabilities."""
        selection = self.selection
        layers = self.layers(selection.picture)
        row = attention_row(layers, selection)
        fig, axes = static.new_figure(3)
        query = token_name(selection.query, len(row))
        static.show_pixels(draw_query(self.subject, selection, len(row)), axes[0], f"asked: {query}")
        depth = f"layer {selection.layer + 1} of {len(layers)}"
        static.show_pixels(draw_attention_row(self.subject, row), axes[1], f"reads, {depth}")
        # More bars than beside the map, as the figure has room for them.
        probabilities = self.subject.class_probabilities(selection.picture)
        likeliest = likeliest_classes(probabilities, _MAX_CLASSES_STATIC)
        static.show_probabilities(self.subject.class_names(likeliest), probabilities[likeliest], axes[2])
        return fig


def _attention_controls(subject: Subject, layers: Sequence[LayerAttention], picture: int) -> dict[str, Any]:
    """Make the controls, each called as the field of `RowSelection` that it sets."""
    last = len(layers) - 1
    # The last layer speaks for all: where one has fewer heads or queries, `attention_row` takes the last it has.
    heads, queries = layers[last].weights.shape[:2]
    layer_options = [(f"{k + 1}: {layer.layer}", k) for k, layer in enumerate(layers)]
    single_heads = [(str(k + 1), k) for k in range(heads)]
    head_options = [("mean of all", AUTOMATIC), *single_heads]
    return {
        "picture": make_input_slider(len(subject.x), picture),
        "layer": make_dropdown("layer", layer_options, last),
        "head": make_dropdown("head", head_options, None),
        "query": make_slider(W.IntSlider, "query", 0, 0, queries - 1),
        "depth": make_slider(W.IntSlider, "depth", 1, 1, len(layers)),
    }


def _describe_row(selection: RowSelection, row: NDArray) -> str:
    """Say what the query reads most, for a reader who cannot see the map."""
    layer = f"layer {selection.layer + 1}"
    through = layer if selection.depth == 1 else f"{selection.depth} layers up to {layer}"
    head = "the mean of all heads"
    if selection.head is not None:
        head = f"head {selection.head + 1}"
    query = token_name(selection.query, len(row))
    most_read = int(row.argmax())
    name = token_name(most_read, len(row))
    return f"{query} reads, by {head} of {through}: most of {name}, {row[most_read]:.0%}"


def _row_facts(row: NDArray) -> dict[str, str]:
    """Shares of the tokens that are read most and of those in front, and how many tokens are read in effect."""
    tokens = len(row)
    front, _ = token_layout(tokens)
    most_read = row.argsort()[::-1][:_MAX_TOKENS_LISTED]
    listed = [*most_read.tolist(), *range(front)]
    facts = {token_name(token, tokens): f"{row[token]:.1%}" for token in listed}
    # The exponential of the entropy: so many tokens, each read as much, would have the same.
    entropy = -(row * np.log(row.clip(1e-12))).sum()
    evenly = float(np.exp(entropy))
    return facts | {"as if evenly read": f"{evenly:.0f} of {tokens} tokens"}
