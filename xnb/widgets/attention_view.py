"""Attention, layer by layer: what each token reads, and for bags which instances speak for a class."""

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xnb.methods.seen_attention import TokenKnobs
from xnb.methods.token_layout import Patch, Special
from xnb.types import Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.attention_rows import (
    LayerAttention,
    RowSelection,
    attention_row,
    capture_layers,
    draw_attention_row,
    draw_query,
    fit_selection,
    mark_query,
    name_query,
)
from xnb.widgets.bags import BagPanel
from xnb.widgets.cache import BoundedCache
from xnb.widgets.clickable import ClickablePicture
from xnb.widgets.explained import Data, Subject, likeliest_classes, prepare_subject
from xnb.widgets.panel import AUTOMATIC, Panel, make_dropdown, make_input_slider, make_slider, selected_value
from xnb.widgets.patch_tokens import PatchTokens, SeenLayers, find_patches, see_layers
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
    special: Special = None,
    patch: Patch = None,
) -> "_AttentionPanel | BagPanel":
    """Read a model's attention: layer, head, query (click a patch) and rollout depth; of bags, instances by evidence.

    Weights say what is read, not what it says: they have no sign and no class. `xnb.access.hooks.attention_proof` shows
    that they are those which the model used. Which token stands for which patch is seen from what each of them reads,
    and a class token is one without a patch that the score reads.

    Args:
        data: the test part of a split, a part, or inputs alone: pictures, or bags `(B, N, C, H, W)`.
        classes: their names; those of the split if omitted.
        picture: which input is shown first.
        special: numbers of the tokens that are no patch; None finds them.
        patch: side of a patch, or its height and width; None finds it.

    Raises:
        ValueError: no attention was seen, or not for each token its own patch or instance.
    """
    subject = prepare_subject(model, data, classes)
    if subject.evidence is not None:
        return BagPanel(subject, picture)
    layers = see_layers(subject, TokenKnobs(special=special, patch=patch))
    if layers.are_of_instances():
        return BagPanel(subject, picture)
    return _AttentionPanel(subject, picture, layers)


class _AttentionPanel(Panel):
    """The widget of `attention` for pictures.

    Attributes:
        tokens: for each layer, what the tokens stand for that it reads.
        clickable: the picture, whose patches can be clicked.
    """

    def __init__(self, subject: Subject, picture: int, seen: SeenLayers) -> None:
        self.subject = subject
        self.seen = seen
        self.tokens = find_patches(subject, seen)
        self.captures: BoundedCache[int, list[LayerAttention]] = BoundedCache()
        size = pixels.display_size(*subject.x.shape[2:])
        rows, columns = self.tokens[-1].grid.shape
        self.clickable = ClickablePicture(rows, columns, size, self.select_patch, "ask")
        controls = _attention_controls(subject, self.layers(picture), picture)
        super().__init__(controls, ("map", "facts"), before=[self.clickable])
        self.refresh()

    def layers(self, picture: int) -> list[LayerAttention]:
        """Attention of each layer for one input; the model is run once for it."""
        return self.captures.get(picture, lambda: capture_layers(self.subject, picture, self.seen.over_tokens))

    def select_patch(self, row: int, column: int) -> None:
        """Select the patch that is clicked as the query, where the tokens that are read are those that ask."""
        selection = self.selection
        rows, columns = self.tokens[-1].grid.shape
        query = self.tokens[selection.layer].at_place((row + 0.5) / rows, (column + 0.5) / columns)
        if query is not None and self.selected_layer.has_tokens_as_queries:
            self.controls["query"].value = query

    @property
    def selection(self) -> RowSelection:
        """What the controls select now, as far as the selected layer has it."""
        values = {name: selected_value(control) for name, control in self.controls.items()}
        return fit_selection(self.layers(values["picture"]), RowSelection(**values))

    @property
    def selected_layer(self) -> LayerAttention:
        """The layer whose row is shown."""
        selection = self.selection
        return self.layers(selection.picture)[selection.layer]

    @property
    def row(self) -> NDArray:
        """The weight of each token that is read."""
        selection = self.selection
        return attention_row(self.layers(selection.picture), selection)

    @property
    def read_tokens(self) -> PatchTokens:
        """What the tokens stand for that are read: those of the lowest layer that is followed."""
        selection = self.selection
        return self.tokens[selection.layer + 1 - selection.depth]

    @property
    def query_name(self) -> str:
        """What asks."""
        selection = self.selection
        return name_query(self.selected_layer, self.tokens[selection.layer], selection.query)

    @property
    def picture(self) -> Pixels:
        """The weights over the picture, as they are shown."""
        return draw_attention_row(self.subject, self.selection.picture, self.row, self.read_tokens)

    def draw_query(self) -> Pixels:
        """The picture with an outline of the patch that asks."""
        selection = self.selection
        patch = mark_query(self.selected_layer, self.tokens[selection.layer], selection.query)
        return draw_query(self.subject, selection.picture, patch)

    def draw(self) -> Iterator[tuple[str, str]]:
        row = self.row
        description = self._describe_row(row)

        # The picture is no area: it must stay below the buttons that are clicked, so it is drawn here.
        alt = f"input {self.selection.picture}, asked: {self.query_name}"
        self.clickable.html.value = markup.image_html(self.draw_query(), alt)

        image = markup.image_html(self.picture, description)
        end = float(self.read_tokens.put_on_picture(row).max())
        yield "map", markup.column_html(image, markup.scale_html(end, sign=False))
        yield "facts", self._facts_page(row, description)

    def _facts_page(self, row: NDArray, description: str) -> str:
        """What the query reads, by its row of weights, beside what the model predicts."""
        most_read = markup.table_html("Most read", _row_facts(row, self.read_tokens))
        probabilities = self.subject.class_probabilities(self.selection.picture)
        likeliest = likeliest_classes(probabilities, _MAX_CLASSES_READ)
        bars = markup.bars_html(self.subject.class_names(likeliest), probabilities[likeliest])
        return markup.column_html(most_read, bars, markup.note_html(description), width="256px")

    def _title_map(self) -> str:
        """Whose weights the map shows, and what its colours go up to."""
        selection = self.selection
        heads = "mean of heads" if selection.head is None else f"head {selection.head + 1}"
        end = float(self.read_tokens.put_on_picture(self.row).max())
        return f"layer {selection.layer + 1} of {len(self.tokens)}, {heads}\nwhite 0 to red {end:.2g}"

    def _describe_row(self, row: NDArray) -> str:
        """Say what the query reads most, for a reader who cannot see the map."""
        selection = self.selection
        layer = f"layer {selection.layer + 1}"
        through = layer if selection.depth == 1 else f"{selection.depth} layers up to {layer}"
        head = "the mean of all heads"
        if selection.head is not None:
            head = f"head {selection.head + 1}"
        most_read = int(row.argmax())
        name = self.read_tokens.name(most_read)
        return f"{self.query_name} reads, by {head} of {through}: most of {name}, {row[most_read]:.0%}"

    def describe(self) -> str:
        return f"attention: input {self.selection.picture}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the query, what it reads, and the probabilities."""
        selection = self.selection
        fig, axes = static.new_figure(3)
        static.show_pixels(self.draw_query(), axes[0], f"{self.query_name} reads")
        static.show_pixels(self.picture, axes[1], self._title_map())
        # More bars than beside the map, as the figure has room for them.
        probabilities = self.subject.class_probabilities(selection.picture)
        likeliest = likeliest_classes(probabilities, _MAX_CLASSES_STATIC)
        static.show_probabilities(self.subject.class_names(likeliest), probabilities[likeliest], axes[2])
        return fig


def _attention_controls(subject: Subject, layers: Sequence[LayerAttention], picture: int) -> dict[str, Any]:
    """Make the controls, each called as the field of `RowSelection` that it sets."""
    last = len(layers) - 1
    # Where the selected layer has fewer heads or queries, `fit_selection` takes the last it has.
    heads = max(len(layer.weights) for layer in layers)
    queries = max(layer.weights.shape[1] for layer in layers)
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


def _row_facts(row: NDArray, tokens: PatchTokens) -> dict[str, str]:
    """Shares of the tokens that are read most and of those without a patch, and how many are read in effect."""
    most_read = row.argsort()[::-1][:_MAX_TOKENS_LISTED]
    listed = [*most_read.tolist(), *tokens.others]
    facts = {tokens.name(token): f"{row[token]:.1%}" for token in listed}
    # The exponential of the entropy: so many tokens, each read as much, would have the same.
    entropy = -(row * np.log(row.clip(1e-12))).sum()
    evenly = float(np.exp(entropy))
    return facts | {"as if evenly read": f"{evenly:.0f} of {tokens.count} tokens"}
