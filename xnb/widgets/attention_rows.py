"""What an attention reads: rows of its weights, and rows multiplied back through several layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from xnb.access.hooks import capture_attention
from xnb.access.score import logits
from xnb.check import require
from xnb.widgets import pixels
from xnb.widgets.explained import Subject
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


def capture_layers(subject: Subject, row: int) -> list[LayerAttention]:
    """Return the attention of each layer for one input."""
    with capture_attention(subject.module) as captures, subject.run_input(row) as x:
        logits(subject.model, x)
    hint = "xnb.widgets.explore(model, x)  # needs no attention"
    require(bool(captures), "attention: no attention was seen", "a forward pass without any", hint)
    layers = []
    for capture in captures:
        weights = capture.weights[0].detach().cpu().numpy()
        layers.append(LayerAttention(capture.layer, weights))
    return layers


def attention_row(layers: Sequence[LayerAttention], selection: RowSelection) -> Float[NDArray, " M"]:
    """How much the query reads of each token. Sums to 1.

    At depth 1 these are the weights themselves; deeper, half of each layer is its shortcut, as in rollout
    (arXiv:2005.00928), which is a convention and no measurement.
    """
    last = selection.layer % len(layers)
    first = max(0, last + 1 - selection.depth)
    followed = layers[first : last + 1]
    *earlier, top = [_layer_matrix(layer, selection) for layer in followed]
    query = min(selection.query, len(top) - 1)  # layers may have different numbers of queries
    row = top[query]
    for matrix in reversed(earlier):
        row = row @ matrix
    return row


def _layer_matrix(layer: LayerAttention, selection: RowSelection) -> Float[NDArray, "N M"]:
    """Weights of the selected head, or the mean of all; half of it the shortcut where several layers are followed."""
    if selection.head is None:
        weights = layer.weights.mean(0)
    else:
        head = min(selection.head, len(layer.weights) - 1)  # layers may have different numbers of heads
        weights = layer.weights[head]
    N, M = weights.shape
    if selection.depth == 1 or N != M:
        return weights
    shortcut = np.eye(N, dtype=weights.dtype)
    return (weights + shortcut) / 2


def token_layout(tokens: int) -> tuple[int, int]:
    """How many tokens stand in front, and how many patches a side has: 65 are a class token and 8 x 8 patches."""
    side = int(np.sqrt(tokens))
    return tokens - side * side, side


def token_name(token: int, tokens: int) -> str:
    """Name of a token: the class token, a register, or row and column of a patch."""
    front, side = token_layout(tokens)
    if token < front:
        if token == 0:
            return "the class token"
        return f"register {token}"
    row, column = divmod(token - front, side)
    return f"row {row + 1}, column {column + 1}"


def draw_attention_row(subject: Subject, row: NDArray) -> Pixels:
    """Draw the row as a picture of its patches: light is much, dark is little."""
    front, side = token_layout(len(row))
    patches = row[front:].reshape(side, side)
    rgb = pixels.unsigned_colours(patches, float(patches.max()))
    H, W = subject.x.shape[2:]
    return pixels.resize_nearest(rgb, pixels.display_size(H, W))


def draw_query(subject: Subject, selection: RowSelection, tokens: int) -> Pixels:
    """Draw the picture with an outline of the query's patch, or without one where the query is no patch."""
    front, side = token_layout(tokens)
    mask = np.zeros((side, side), dtype=bool)
    if selection.query >= front:
        patch = divmod(selection.query - front, side)
        mask[patch] = True
    picture = subject.shown_picture(selection.picture)
    return pixels.draw_outline(pixels.enlarge_picture(picture), mask)
