"""Several methods on one input, on one scale, beside controls that never saw the model."""

from collections.abc import Iterator, Sequence
from functools import partial

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from traitlets import Bunch

from xnb.data import Part, Split
from xnb.types import Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.explained import Subject, subject
from xnb.widgets.explore_state import Answer, Look, Question, answer, original, outlined, words
from xnb.widgets.explorer import offered, said, verdicts
from xnb.widgets.panel import AUTOMATIC, Panel, button, choice, chosen, slider

METHODS = ("gradient_times_input", "integrated_gradients", "grad_cam", "occlusion")
CONTROLS = ("edges", "random")
FREE = "random"  # asked where only the prediction is wanted
SHARES, OWN, RAW = "share", "own", "raw"
SCALES = [("shares of each map, one scale", SHARES), ("each to its own largest", OWN), ("raw numbers, one scale", RAW)]
TILE = 160  # pixels: three stand side by side at 1024


def side_by_side(
    model: Model, data: Split | Part | Tensor, methods: Sequence[str] = METHODS, *, classes: Sequence[str] | None = None
) -> "SideBySide":
    """Compare methods on single inputs: one input, one class, one scale; pin what is to stay while you move on.

    Methods answer in different units, so on the shared scale each map is shown as shares of its own magnitude; raw
    numbers may be chosen. Two controls stand beside them always: edges, and random numbers.

    Args:
        data: the test part of a split, a part, or inputs alone.
        methods: shown first; more may be chosen.
        classes: their names; those of the split if omitted.
    """
    return SideBySide(subject(model, data, classes), methods)


class SideBySide(Panel):
    """See `side_by_side`."""

    def __init__(self, subject: Subject, methods: Sequence[str]) -> None:
        self.subject, self.answers, self.pinned = subject, {}, {}
        options = offered(verdicts(subject)["valid"].astype(bool))
        known = [name for _, name in options]
        classes = [(name, k) for k, name in enumerate(subject.classes)]
        self.methods = [name for name in dict.fromkeys((*methods, *CONTROLS)) if name in known]
        controls = {
            "picture": slider(W.IntSlider, "picture", 0, 0, len(subject.x) - 1),
            "target": choice("class", [("what the model says", AUTOMATIC), *classes], AUTOMATIC),
            "scale": choice("colours", SCALES, SHARES),
            "add": choice("add", [("another method …", AUTOMATIC), *options], AUTOMATIC),
        }
        controls["add"].observe(self.add, "value")
        self.board = W.Box(layout=W.Layout(display="flex", flex_flow="row wrap", grid_gap="10px", width="100%"))
        super().__init__(controls, ("view", "pinned"), after=[self.board])
        self.arrange()
        self.refresh()

    def add(self, change: Bunch) -> None:
        """One more method."""
        if change.new != AUTOMATIC and change.new not in self.methods:
            self.methods.append(change.new)
            self.arrange()

    def drop(self, name: str) -> None:
        """One method less."""
        self.methods.remove(name)
        self.arrange()
        self.refresh()

    def arrange(self) -> None:
        """A tile for each method, with buttons that pin it and take it away."""
        tiles = []
        for name in self.methods:
            self.pages.setdefault(name, W.HTML())
            pin = button("pin", partial(self.pin, name), f"keep the map of {name} while you move on")
            drop = button("drop", partial(self.drop, name), f"take {name} away")
            for one in (pin, drop):
                one.layout.min_width = "60px"
            tiles.append(W.VBox([self.pages[name], W.HBox([pin, drop])]))
        self.board.children = tiles

    def pin(self, name: str) -> None:
        """Keep this map in sight, or let it go again if it is the same."""
        tile = (self.question(name), self.controls["scale"].value)
        if self.pinned.pop(tile, None) is None:
            self.pinned[tile] = self.tile(name, self.ends()[name])
        self.pages["pinned"].value = markup.row(*self.pinned.values())

    def question(self, name: str) -> Question:
        return Question(self.controls["picture"].value, chosen(self.controls["target"]), None, name)

    def answer(self, name: str) -> Answer:
        question = self.question(name)
        if question not in self.answers:
            self.answers[question] = answer(self.subject, question)
        return self.answers[question]

    def ends(self) -> dict[str, float]:
        """Where the scale of each map ends, in its own unit."""
        maps = {name: self.answer(name).heat for name in self.methods}
        return ends(maps, self.controls["scale"].value)

    def picture(self, name: str) -> NDArray[np.uint8]:
        """The map of one method, as it is shown."""
        return tile(self.subject, self.question(name), self.answer(name), self.ends()[name])

    def tile(self, name: str, end: float) -> str:
        question, found = self.question(name), self.answer(name)
        rgb, alt = tile(self.subject, question, found, end), words(self.subject, question, found)
        note = f"input {question.picture}, {self.subject.classes[found.target]}; full colour: {end:.2g}"
        return markup.column(markup.image(rgb, alt, name, TILE), markup.note(note), width=f"{TILE}px")

    def draw(self) -> Iterator[tuple[str, str]]:
        question = self.question(FREE)
        found = self.answer(FREE)
        shown = markup.image(original(self.subject, question, Look()), said(self.subject, question, found), width=TILE)
        likely = found.said.argsort()[::-1][:4]
        bars = markup.bars([self.subject.classes[k] for k in likely], found.said[likely])
        yield "view", markup.row(shown, bars)
        for name, end in self.ends().items():
            yield name, self.tile(name, end)

    def words(self) -> str:
        return f"side_by_side: input {self.controls['picture'].value}. Run the cell to move it."

    def still(self) -> Figure:
        names, limits = self.methods, self.ends()
        fig, axes = static.figure(len(names) + 1, 9.0, 1.8)
        question = self.question(FREE)
        static.shown(original(self.subject, question, Look()), axes[0], f"input {question.picture}")
        for ax, name in zip(axes[1:], names, strict=True):
            static.shown(tile(self.subject, self.question(name), self.answer(name), limits[name]), ax, "")
            ax.set_title(name.replace("_", " "), fontsize=7)
        return fig


def ends(maps: dict[str, NDArray], scale: str) -> dict[str, float]:
    """Where the colour scale of each map ends, in its own unit.

    On the scale of shares, all maps end at the same share of their magnitude: the largest 99th percentile of all.
    """
    if scale == OWN:
        return {name: float(np.abs(heat).max()) or 1.0 for name, heat in maps.items()}
    if scale == RAW:
        largest = max((float(np.abs(heat).max()) for heat in maps.values()), default=0) or 1.0
        return dict.fromkeys(maps, largest)
    total = {name: float(np.abs(heat).mean()) or 1.0 for name, heat in maps.items()}
    shares = [float(np.percentile(np.abs(heat), 99)) / total[name] for name, heat in maps.items()]
    share = max(shares, default=0) or 1.0
    return {name: share * total[name] for name in maps}


def tile(subject: Subject, question: Question, found: Answer, end: float) -> NDArray[np.uint8]:
    """One map with the outline of the true evidence."""
    size = pixels.shown_size(*subject.x.shape[2:])
    rgb = pixels.stretched(pixels.signed(found.heat, end), size)
    return outlined(rgb, subject, question, Look())
