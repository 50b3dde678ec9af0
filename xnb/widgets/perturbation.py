"""Hide a part of the input and watch the prediction move: the question behind every perturbation method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import ipywidgets as W
import torch
from jaxtyping import Bool
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from xnb.check import require
from xnb.metrics.imputers import make_fill
from xnb.types import Batch, Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.clickable import ClickablePicture
from xnb.widgets.colours import to_picture
from xnb.widgets.explained import Data, Subject, likeliest_classes, prepare_subject
from xnb.widgets.panel import Panel, make_button, make_dropdown, make_input_slider, make_slider
from xnb.widgets.pixels import Pixels

_CELLS = 8  # squares along each side that can be painted
_FILLS = [("the mean colour", "mean"), ("black", "zero"), ("a blur", "blur"), ("what is around", "noisy_linear")]
_MOVE = "moves the patch"
PAINT = "paints"
_COMPARED_BARS = 6


@dataclass(frozen=True)
class HiddenArea:
    """What is hidden: a square patch with its upper left corner, painted cells, and what stands there instead."""

    picture: int = 0
    row: int = 0
    column: int = 0
    size: int = 8
    fill: str = "mean"
    painted: frozenset[tuple[int, int]] = frozenset()


class _BeforeAfter(NamedTuple):
    """Probabilities of all classes before and after something was hidden."""

    before: NDArray
    after: NDArray


def perturb(
    model: Model,
    data: Data,
    *,
    classes: Sequence[str] | None = None,
    picture: int = 0,
) -> "_PerturbationPanel":
    """Move a patch over the picture, or paint on it, and see the probabilities move.

    A drop mixes evidence that is missing with surprise at what stands there, see `xnb.METHODS["occlusion"]`: try
    another filling before you believe it.

    Args:
        data: the test part of a split, a part, or pictures alone.
        classes: their names; those of the split if omitted.
        picture: which is shown first.
    """
    return _PerturbationPanel(prepare_subject(model, data, classes), picture)


class _PerturbationPanel(Panel):
    """The widget of `perturb`.

    Attributes:
        painted: cells that are painted, as pairs of row and column.
        clickable: the picture, whose cells can be clicked.
    """

    def __init__(self, subject: Subject, picture: int) -> None:
        hint = "xnb.widgets.explore(model, x)"
        require(subject.x.ndim == 4, "perturb: inputs must be pictures (B, C, H, W)", subject.x, hint)
        self.subject = subject
        self.painted: frozenset[tuple[int, int]] = frozenset()
        controls = _patch_controls(subject, picture)
        controls["clear"] = make_button("wipe the paint off", self.clear)
        size = pixels.display_size(*subject.x.shape[2:])
        self.clickable = ClickablePicture(_CELLS, _CELLS, size, self.press, "hide")
        super().__init__(controls, before=[self.clickable])
        self.refresh()

    @property
    def hidden_area(self) -> HiddenArea:
        """What the controls hide now."""
        values = {name: self.controls[name].value for name in ("picture", "row", "column", "size", "fill")}
        return HiddenArea(**values, painted=self.painted)

    def press(self, row: int, column: int) -> None:
        """Move the patch to the cell that is clicked, or paint the cell, or wipe its paint off."""
        if self.controls["mode"].value == PAINT:
            self.painted ^= {(row, column)}
            self.refresh()
        else:
            self._move_patch(row, column)

    def _move_patch(self, row: int, column: int) -> None:
        """Move the middle of the patch to the middle of a cell."""
        H, W_ = self.subject.x.shape[2:]
        half = self.controls["size"].value / 2
        middle_row = (row + 0.5) * H / _CELLS
        middle_column = (column + 0.5) * W_ / _CELLS
        top = round(middle_row - half)
        left = round(middle_column - half)
        with self.draw_once():
            self.controls["row"].value = max(0, top)
            self.controls["column"].value = max(0, left)

    def clear(self) -> None:
        """Wipe all paint off."""
        self.painted = frozenset()
        self.refresh()

    @property
    def picture(self) -> Pixels:
        """The picture as it is shown, `(H, W, 3)`."""
        return _draw_changed_input(self.subject, self.hidden_area)

    def draw(self) -> Iterator[tuple[str, str]]:
        area = self.hidden_area
        probabilities = probabilities_before_after(self.subject, area)
        share = hidden_mask(self.subject, area).float().mean()
        alt = f"input {area.picture} with {share:.0%} of it hidden"
        self.clickable.html.value = markup.image_html(self.picture, alt)

        notes = [markup.note_html(alt), markup.note_html("Lines: before anything was hidden.")]
        bars = self._bars(probabilities)
        yield "view", markup.column_html(bars, self._verdict(probabilities), *notes, width="280px")

    def _bars(self, probabilities: _BeforeAfter) -> str:
        """Probabilities after, beside what they were, of the classes that were most probable before."""
        before, after = probabilities
        likeliest = likeliest_classes(before, _COMPARED_BARS)
        names = self.subject.class_names(likeliest)
        predicted = self.subject.classes[int(before.argmax())]
        return markup.bars_html(names, after[likeliest], before=before[likeliest], mark=predicted)

    def _verdict(self, probabilities: _BeforeAfter) -> str:
        """Say whether the predicted class is another one now."""
        before, after = self.subject.class_names([int(values.argmax()) for values in probabilities])
        text = f"Still {before}." if after == before else f"Now {after}, no longer {before}."
        return f"<b>{escape(text)}</b>"

    def describe(self) -> str:
        return f"perturb: input {self.hidden_area.picture}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the changed input, and the probabilities before and after."""
        area = self.hidden_area
        before, after = probabilities_before_after(self.subject, area)
        fig, axes = static.new_figure(3)
        static.show_pixels(self.picture, axes[0], f"input {area.picture}, a part hidden")
        likeliest = likeliest_classes(before, _COMPARED_BARS)
        names = self.subject.class_names(likeliest)
        for ax, values, title in ((axes[1], before, "before"), (axes[2], after, "with the patch")):
            static.show_probabilities(names, values[likeliest], ax)
            ax.set_title(title, fontsize=9)
        return fig


def _patch_controls(subject: Subject, picture: int) -> dict[str, Any]:
    """Make the controls, with a patch of a quarter of the side that begins on the evidence."""
    H, W_ = subject.x.shape[2:]
    shorter = min(H, W_)
    size = max(1, shorter // 4)
    row, column = first_corner(subject, picture, size)
    return {
        "picture": make_input_slider(len(subject.x), picture),
        "row": make_slider(W.IntSlider, "row", row, 0, H - 1),
        "column": make_slider(W.IntSlider, "column", column, 0, W_ - 1),
        "size": make_slider(W.IntSlider, "size", size, 0, shorter),
        "fill": make_dropdown("hidden by", _FILLS, "mean"),
        "mode": make_dropdown("a click", [_MOVE, PAINT], _MOVE),
    }


def first_corner(subject: Subject, row: int, size: int) -> tuple[int, int]:
    """Upper left corner of a patch that hides the middle of the mask, or of the picture."""
    H, W_ = subject.x.shape[2:]
    evidence = torch.ones(1, H, W_) if subject.masks is None else subject.masks[row]
    positions = evidence.nonzero()[:, 1:].double()
    middle = positions.mean(0).nan_to_num(min(H, W_) / 2)  # an empty mask has no middle
    top, left = (middle - size / 2).clamp(min=0).tolist()
    return int(top), int(left)


def hidden_mask(subject: Subject, area: HiddenArea) -> Bool[Tensor, "H W"]:
    """Pixels that are hidden."""
    H, W_ = subject.x.shape[2:]
    mask = torch.zeros(H, W_, dtype=torch.bool)
    patch_rows = slice(area.row, area.row + area.size)
    patch_columns = slice(area.column, area.column + area.size)
    mask[patch_rows, patch_columns] = True
    for row, column in area.painted:
        mask[_cell_pixels(row, H), _cell_pixels(column, W_)] = True
    return mask


def _cell_pixels(index: int, side: int) -> slice:
    """Pixels along one side of a cell."""
    start = index * side // _CELLS
    end = (index + 1) * side // _CELLS
    return slice(start, end)


def replace_hidden(subject: Subject, area: HiddenArea) -> Batch:
    """Return the input with the hidden pixels replaced, as a batch."""
    x = subject.input(area.picture)
    fill = make_fill(area.fill, x, (2, 3))
    mask = hidden_mask(subject, area).to(x)
    removed = mask.expand(1, 1, 1, -1, -1)
    return fill(slice(None), removed)[0]


def probabilities_before_after(subject: Subject, area: HiddenArea) -> _BeforeAfter:
    """Probabilities of all classes before and after the area is hidden."""
    with subject.run_input(area.picture, times=2) as x:
        both = torch.cat([x, replace_hidden(subject, area)])
        before, after = subject.probabilities_of(both).cpu().numpy()
    return _BeforeAfter(before, after)


def _draw_changed_input(subject: Subject, area: HiddenArea) -> Pixels:
    """Draw the changed picture with an outline of what is hidden."""
    x = replace_hidden(subject, area)[0]
    return pixels.draw_outline(pixels.enlarge_picture(to_picture(x)), hidden_mask(subject, area))
