"""Attention, layer by layer: what each token reads, and for bags which instances speak for a class."""

from collections.abc import Iterator, Sequence

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from xnb.data import Part, Split
from xnb.types import Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.attention_rows import Gaze, Weights, board, captured, named, query_picture, read, weights_picture
from xnb.widgets.bags import Bags
from xnb.widgets.clickable import Board
from xnb.widgets.explained import Subject, subject
from xnb.widgets.panel import AUTOMATIC, Panel, choice, chosen, slider


def attention(
    model: Model, data: Split | Part | Tensor, *, classes: Sequence[str] | None = None, picture: int = 0
) -> "Reader | Bags":
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
    shown = subject(model, data, classes)
    return Bags(shown, picture) if shown.x.ndim == 5 else Reader(shown, picture)


class Reader(Panel):
    """See `attention`."""

    def __init__(self, subject: Subject, picture: int) -> None:
        self.subject, self.seen = subject, {}
        layers = self.layers(picture)
        heads, queries, tokens = layers[-1].weights.shape
        names = [(f"{k + 1}: {one.layer}", k) for k, one in enumerate(layers)]
        controls = {
            "picture": slider(W.IntSlider, "picture", picture, 0, len(subject.x) - 1),
            "layer": choice("layer", names, len(layers) - 1),
            "head": choice("head", [("mean of all", AUTOMATIC), *((str(k + 1), k) for k in range(heads))], AUTOMATIC),
            "query": slider(W.IntSlider, "query", 0, 0, queries - 1),
            "depth": slider(W.IntSlider, "depth", 1, 1, len(layers)),
        }
        self.front, side = board(tokens)
        self.board = Board(side, side, pixels.shown_size(*subject.x.shape[2:]), self.press, "ask")
        super().__init__(controls, ("map", "facts"), before=[self.board])
        self.refresh()

    def layers(self, picture: int) -> list[Weights]:
        if picture not in self.seen:
            self.seen[picture] = captured(self.subject, picture)
        return self.seen[picture]

    def press(self, row: int, column: int) -> None:
        """A click on a patch asks it."""
        query = self.front + row * self.board.columns + column
        self.controls["query"].value = min(query, self.controls["query"].max)

    @property
    def gaze(self) -> Gaze:
        """What the controls look at now."""
        return Gaze(**{name: chosen(control) for name, control in self.controls.items()})

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The weights over the picture, as they are shown."""
        return weights_picture(self.subject, read(self.layers(self.gaze.picture), self.gaze))

    def draw(self) -> Iterator[tuple[str, str]]:
        gaze, layers = self.gaze, self.layers(self.gaze.picture)
        row = read(layers, gaze)
        asked = query_picture(self.subject, gaze, len(row))
        self.board.page.value = markup.image(asked, f"input {gaze.picture}, asked: {named(gaze.query, len(row))}")
        rgb = weights_picture(self.subject, row)
        scale = markup.scale(float(row[self.front :].max()), sign=False)
        yield "map", markup.column(markup.image(rgb, told(layers, gaze, row)), scale)
        yield "facts", facts(self.subject, layers, gaze, row)

    def words(self) -> str:
        return f"attention: input {self.gaze.picture}. Run the cell to move it."

    def still(self) -> Figure:
        gaze, layers = self.gaze, self.layers(self.gaze.picture)
        row = read(layers, gaze)
        fig, axes = static.figure(3)
        static.shown(query_picture(self.subject, gaze, len(row)), axes[0], f"asked: {named(gaze.query, len(row))}")
        static.shown(weights_picture(self.subject, row), axes[1], f"reads, layer {gaze.layer + 1} of {len(layers)}")
        said = self.subject.said(gaze.picture).cpu().numpy()
        order = said.argsort()[::-1][:6]
        static.shares([self.subject.classes[k] for k in order], said[order], axes[2])
        return fig


def told(layers: list[Weights], gaze: Gaze, row: NDArray) -> str:
    """The map in words."""
    top = int(row.argmax())
    head = "the mean of all heads" if gaze.head is None else f"head {gaze.head + 1}"
    through = f"layer {gaze.layer + 1}" if gaze.depth == 1 else f"{gaze.depth} layers up to layer {gaze.layer + 1}"
    return (
        f"{named(gaze.query, len(row))} reads, by {head} of {through}: most of {named(top, len(row))}, {row[top]:.0%}"
    )


def facts(subject: Subject, layers: list[Weights], gaze: Gaze, row: NDArray) -> str:
    """What is read in numbers, beside what the model says."""
    front, _ = board(len(row))
    order = row.argsort()[::-1][:4]
    numbers = {named(int(token), len(row)): f"{row[token]:.1%}" for token in order}
    in_front = {named(token, len(row)): f"{row[token]:.1%}" for token in range(front)}
    spread = float(np.exp(-(row * np.log(row.clip(1e-12))).sum()))
    numbers |= in_front | {"as if evenly read": f"{spread:.0f} of {len(row)} tokens"}
    said = subject.said(gaze.picture).cpu().numpy()
    likely = said.argsort()[::-1][:4]
    bars = markup.bars([subject.classes[k] for k in likely], said[likely])
    return markup.column(markup.table("Most read", numbers), bars, markup.note(told(layers, gaze, row)), width="256px")
