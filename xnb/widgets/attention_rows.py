"""What an attention reads: rows of its weights, and rows multiplied back through several layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, pairwise

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from xnb.access.hooks import capture_attention
from xnb.access.score import logits
from xnb.widgets import pixels
from xnb.widgets.explained import Subject
from xnb.widgets.patch_tokens import PatchTokens
from xnb.widgets.pixels import Pixels


@dataclass(frozen=True)
class RowSelection:
    """Which row is shown: of which input, layer, head (None: the mean) and query, through how many layers."""

    picture: int = 0
    layer: int = -1
    head: int | None = None
    query: int = 0
    depth: int = 1


@dataclass(frozen=True)
class LayerAttention:
    """Weights of one layer, `(h, N, M)`, and the module that used them."""

    layer: str
    weights: Float[NDArray, "h N M"]

    @property
    def has_tokens_as_queries(self) -> bool:
        """Whether the tokens that ask are those that are read."""
        return self.weights.shape[1] == self.weights.shape[2]


def capture_layers(subject: Subject, row: int, over_tokens: Sequence[bool]) -> list[LayerAttention]:
    """Return the attention of each layer for one input, of the attentions that are over tokens."""
    with capture_attention(subject.module) as captures, subject.run_input(row) as x:
        logits(subject.model, x)
    layers = []
    for capture in compress(captures, over_tokens):
        weights = capture.weights[0].detach().cpu().numpy()
        layers.append(LayerAttention(capture.layer, weights))
    return layers


def fit_selection(layers: Sequence[LayerAttention], selection: RowSelection) -> RowSelection:
    """The same row, or the last that there is: layers may have different numbers of heads and queries.

    Layers are followed down as long as each reads the tokens that the one below hands on.
    """
    layer = selection.layer % len(layers)
    heads, queries = layers[layer].weights.shape[:2]
    head = None if selection.head is None else min(selection.head, heads - 1)
    query = min(selection.query, queries - 1)
    depth = min(selection.depth, _count_joined(layers[: layer + 1]))
    return replace(selection, layer=layer, head=head, query=query, depth=depth)


def _count_joined(layers: Sequence[LayerAttention]) -> int:
    """How many layers, counted from the last, read the tokens that the one before them hands on."""
    count = 1
    for upper, lower in pairwise(reversed(layers)):
        if upper.weights.shape[2] != lower.weights.shape[1]:
            break
        count += 1
    return count


def attention_row(layers: Sequence[LayerAttention], selection: RowSelection) -> Float[NDArray, " M"]:
    """How much the query reads of each token. Sums to 1.

    At depth 1 these are the weights themselves; deeper, half of each layer is its shortcut, as in rollout
    (arXiv:2005.00928), which is a convention and no measurement.

    Args:
        selection: one that the layers have, see `fit_selection`.
    """
    first = selection.layer + 1 - selection.depth
    followed = layers[first : selection.layer + 1]
    *earlier, top = [_layer_matrix(layer, selection) for layer in followed]
    row = top[selection.query]
    for matrix in reversed(earlier):
        row = row @ matrix
    return row


def _layer_matrix(layer: LayerAttention, selection: RowSelection) -> Float[NDArray, "N M"]:
    """Weights of the selected head, or the mean of all; half of it the shortcut where several layers are followed."""
    weights = layer.weights.mean(0) if selection.head is None else layer.weights[selection.head]
    N, M = weights.shape
    if selection.depth == 1 or N != M:
        return weights
    shortcut = np.eye(N, dtype=weights.dtype)
    return (weights + shortcut) / 2


def name_query(layer: LayerAttention, tokens: PatchTokens, query: int) -> str:
    """What asks: a token, or where others ask than are read, the number of the query."""
    if layer.has_tokens_as_queries:
        return tokens.name(query)
    return f"query {query + 1}"


def mark_query(layer: LayerAttention, tokens: PatchTokens, query: int) -> Bool[NDArray, "H W"]:
    """The pixels of the patch that asks; none where no patch does."""
    if layer.has_tokens_as_queries:
        return tokens.mark_pixels(query)
    return np.zeros(tokens.owner.shape, dtype=bool)


def draw_attention_row(subject: Subject, picture: int, row: NDArray, tokens: PatchTokens) -> Pixels:
    """Draw the row on the patches of its tokens, white nothing and red much, with the outline of what is known."""
    weights = tokens.put_on_picture(row)
    rgb = pixels.unsigned_colours(weights, float(weights.max()))
    H, W = subject.x.shape[2:]
    large = pixels.resize_nearest(rgb, pixels.display_size(H, W))
    evidence = subject.mask(picture)
    return large if evidence is None else pixels.draw_outline(large, evidence.cpu())


def draw_query(subject: Subject, picture: int, patch: NDArray) -> Pixels:
    """Draw the picture with an outline of the query's patch, or without one where the query is no patch."""
    return pixels.draw_outline(pixels.enlarge_picture(subject.shown_picture(picture)), patch)
