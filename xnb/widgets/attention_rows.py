"""What an attention reads: rows of its weights, and rows handed back through several layers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from xnb.access.hooks import captured_attention
from xnb.access.score import logits
from xnb.check import require
from xnb.widgets import pixels
from xnb.widgets.explained import Subject


@dataclass(frozen=True)
class Gaze:
    """Which row is shown: of which input, layer, head (None: the mean) and query, through how many layers."""

    picture: int = 0
    layer: int = -1
    head: int | None = None
    query: int = 0
    depth: int = 1


@dataclass(frozen=True)
class Weights:
    """Weights of one layer, `(h, N, M)`, and the module that used them."""

    layer: str
    weights: Float[NDArray, "h N M"]


def captured(subject: Subject, row: int) -> list[Weights]:
    """The attention of each layer for one input."""
    with captured_attention(subject.model) as found:
        logits(subject.model, subject.input(row))
    hint = "xnb.widgets.explore(model, x)  # needs no attention"
    require(bool(found), "attention: no attention was seen", "a forward pass without any", hint)
    return [Weights(one.layer, one.weights[0].detach().cpu().numpy()) for one in found]


def read(layers: list[Weights], gaze: Gaze) -> Float[NDArray, " M"]:
    """How much the query reads of each token. Sums to 1.

    At depth 1 these are the weights themselves; deeper, half of each layer is its shortcut, as in rollout
    (arXiv:2005.00928), which is a convention and no measurement.
    """
    last = gaze.layer % len(layers)
    first = max(0, last + 1 - gaze.depth)
    row = None
    for one in reversed(layers[first : last + 1]):
        weights = one.weights.mean(0) if gaze.head is None else one.weights[min(gaze.head, len(one.weights) - 1)]
        if gaze.depth > 1 and weights.shape[0] == weights.shape[1]:
            weights = (weights + np.eye(len(weights), dtype=weights.dtype)) / 2
        row = weights[min(gaze.query, len(weights) - 1)] if row is None else row @ weights
    return row


def board(tokens: int) -> tuple[int, int]:
    """How many tokens stand in front, and how many patches a side has: 65 are a class token and 8 x 8 patches."""
    side = int(np.sqrt(tokens))
    return tokens - side * side, side


def named(token: int, tokens: int) -> str:
    """Where a token is."""
    front, side = board(tokens)
    if token < front:
        return "the class token" if token == 0 else f"register {token}"
    row, column = divmod(token - front, side)
    return f"row {row + 1}, column {column + 1}"


def weights_picture(subject: Subject, row: NDArray) -> NDArray[np.uint8]:
    """The row over the picture: light is much, dark is little."""
    front, side = board(len(row))
    size = pixels.shown_size(*subject.x.shape[2:])
    grid = row[front:].reshape(side, side)
    return pixels.stretched(pixels.unsigned(grid, float(grid.max())), size)


def query_picture(subject: Subject, gaze: Gaze, tokens: int) -> NDArray[np.uint8]:
    """The picture with the query's patch outlined, or all of it if it is no patch."""
    x = subject.x[gaze.picture].cpu()
    front, side = board(tokens)
    mask = np.zeros((side, side), dtype=bool)
    if gaze.query >= front:
        mask[divmod(gaze.query - front, side)] = True
    rgb = pixels.stretched(pixels.picture(x), pixels.shown_size(*x.shape[1:]))
    return pixels.outlined(rgb, mask)
