"""Hide a part of the input and watch the prediction move: the question behind every perturbation method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ipywidgets as W
import numpy as np
import torch
from jaxtyping import Bool
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.score import logits
from xnb.check import require
from xnb.data import Part, Split
from xnb.metrics.imputers import filling
from xnb.types import Batch, Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.clickable import Board
from xnb.widgets.explained import Subject, subject
from xnb.widgets.panel import Panel, button, choice, slider

CELLS = 8  # squares along each side that can be painted
FILLS = [("the mean colour", "mean"), ("black", "zero"), ("a blur", "blur"), ("what is around", "noisy_linear")]
MOVE, PAINT = "moves the patch", "paints"


@dataclass(frozen=True)
class Hiding:
    """What is hidden: a square patch with its upper left corner, painted cells, and what stands there instead."""

    picture: int = 0
    row: int = 0
    column: int = 0
    size: int = 8
    fill: str = "mean"
    painted: frozenset[tuple[int, int]] = frozenset()


def perturb(
    model: Model, data: Split | Part | Tensor, *, classes: Sequence[str] | None = None, picture: int = 0
) -> "Perturber":
    """Move a patch over the picture, or paint on it, and see the probabilities move.

    A drop mixes evidence that is missing with surprise at what stands there, see `xnb.METHODS["occlusion"]`: try
    another filling before you believe it.

    Args:
        data: the test part of a split, a part, or pictures alone.
        classes: their names; those of the split if omitted.
        picture: which is shown first.
    """
    return Perturber(subject(model, data, classes), picture)


class Perturber(Panel):
    """See `perturb`."""

    def __init__(self, subject: Subject, picture: int) -> None:
        require(subject.x.ndim == 4, "perturb: inputs must be pictures (B, C, H, W)", subject.x, "explore(model, x)")
        self.subject, self.painted = subject, frozenset()
        H, W_ = subject.x.shape[2:]
        size = max(1, min(H, W_) // 4)
        row, column = corner(subject, picture, size)
        controls = {
            "picture": slider(W.IntSlider, "picture", picture, 0, len(subject.x) - 1),
            "row": slider(W.IntSlider, "row", row, 0, H - 1),
            "column": slider(W.IntSlider, "column", column, 0, W_ - 1),
            "size": slider(W.IntSlider, "size", size, 0, min(H, W_)),
            "fill": choice("hidden by", FILLS, "mean"),
            "mode": choice("a click", [MOVE, PAINT], MOVE),
            "clear": button("wipe the paint off", self.clear),
        }
        self.board = Board(CELLS, CELLS, pixels.shown_size(H, W_), self.press, "hide")
        super().__init__(controls, before=[self.board])
        self.refresh()

    @property
    def hiding(self) -> Hiding:
        """What the controls hide now."""
        values = (self.controls[name].value for name in ("picture", "row", "column", "size", "fill"))
        return Hiding(*values, self.painted)

    def press(self, row: int, column: int) -> None:
        """A click on the picture: the patch goes there, or the cell is painted or wiped."""
        if self.controls["mode"].value == PAINT:
            self.painted ^= {(row, column)}
            return self.refresh()
        H, W_ = self.subject.x.shape[2:]
        size = self.controls["size"].value
        with self.quietly():
            self.controls["row"].value = max(0, round((row + 0.5) * H / CELLS - size / 2))
            self.controls["column"].value = max(0, round((column + 0.5) * W_ / CELLS - size / 2))
        return None

    def clear(self) -> None:
        self.painted = frozenset()
        self.refresh()

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The picture as it is shown, `(H, W, 3)`."""
        return picture(self.subject, self.hiding)

    def draw(self) -> Iterator[tuple[str, str]]:
        hiding = self.hiding
        before, after = said(self.subject, hiding)
        best = int(before.argmax())
        name = self.subject.classes[best]
        alt = f"input {hiding.picture} with {hidden(self.subject, hiding).float().mean():.0%} of it hidden"
        self.board.page.value = markup.image(self.picture, alt)
        likely = before.argsort()[::-1][:6]
        bars = markup.bars([self.subject.classes[k] for k in likely], after[likely], before=before[likely], mark=name)
        now = self.subject.classes[int(after.argmax())]
        verdict = f"Still {name}." if now == name else f"Now {now}, no longer {name}."
        note = markup.note("Lines: before anything was hidden.")
        yield "view", markup.column(bars, f"<b>{markup.escape(verdict)}</b>", markup.note(alt), note, width="280px")

    def words(self) -> str:
        return f"perturb: input {self.hiding.picture}. Run the cell to move it."

    def still(self) -> Figure:
        hiding = self.hiding
        before, after = said(self.subject, hiding)
        fig, axes = static.figure(3)
        static.shown(picture(self.subject, hiding), axes[0], f"input {hiding.picture}, a part hidden")
        order = before.argsort()[::-1][:6]
        for ax, values, title in ((axes[1], before, "before"), (axes[2], after, "with the patch")):
            static.shares([self.subject.classes[k] for k in order], values[order], ax).set_title(title, fontsize=9)
        return fig


def corner(subject: Subject, row: int, size: int) -> tuple[int, int]:
    """Where a patch begins that hides the middle of the true evidence, or of the picture."""
    H, W_ = subject.x.shape[2:]
    whole = torch.ones(1, H, W_) if subject.masks is None else subject.masks[row]
    middle = whole.nonzero()[:, 1:].double().mean(0).nan_to_num(min(H, W_) / 2)
    return tuple(int(max(0, at - size / 2)) for at in middle.tolist())


def hidden(subject: Subject, hiding: Hiding) -> Bool[Tensor, "H W"]:
    """Which pixels are hidden."""
    H, W_ = subject.x.shape[2:]
    mask = torch.zeros(H, W_, dtype=torch.bool)
    mask[hiding.row : hiding.row + hiding.size, hiding.column : hiding.column + hiding.size] = True
    for row, column in hiding.painted:
        mask[cell(row, H), cell(column, W_)] = True
    return mask


def cell(at: int, side: int) -> slice:
    """Pixels of a square that can be painted."""
    return slice(at * side // CELLS, (at + 1) * side // CELLS)


def changed(subject: Subject, hiding: Hiding) -> Batch:
    """The input with the hidden pixels replaced, as a batch."""
    x = subject.input(hiding.picture)
    removed = hidden(subject, hiding).to(x).expand(1, 1, 1, -1, -1)
    return filling(hiding.fill, x)(slice(None), removed)[0]


def said(subject: Subject, hiding: Hiding) -> tuple[NDArray, NDArray]:
    """Probabilities before and after."""
    both = torch.cat([subject.input(hiding.picture), changed(subject, hiding)])
    before, after = logits(subject.model, both).softmax(1).cpu().numpy()
    return before, after


def picture(subject: Subject, hiding: Hiding) -> NDArray[np.uint8]:
    """The changed picture, what is hidden outlined."""
    x = changed(subject, hiding)[0].cpu()
    rgb = pixels.stretched(pixels.picture(x), pixels.shown_size(*x.shape[1:]))
    return pixels.outlined(rgb, hidden(subject, hiding))
