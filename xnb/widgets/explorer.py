"""One input, one explanation, and everything about it that can be moved."""

from collections.abc import Iterator, Sequence

import ipywidgets as W
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from traitlets import Bunch

from xnb.applicability import verdict
from xnb.data import Part, Split
from xnb.methods import METHODS
from xnb.progress import silently
from xnb.types import Model
from xnb.widgets import knobs, markup, static
from xnb.widgets.explained import Subject, subject
from xnb.widgets.explore_state import (
    Answer,
    Look,
    Question,
    answer,
    code,
    curves,
    end,
    original,
    picture,
    words,
)
from xnb.widgets.panel import AUTOMATIC, Panel, choice, chosen, slider, tick
from xnb.widgets.upload import picture as uploaded

SCALES = [("ends at the largest value", "largest"), ("clipped: 99 % of the values", "clip"), ("held as it is", "held")]
MOST = 6  # classes that are shown
FAMILIES = ("gradient", "rules", "cam", "attention", "perturbation", "control")
OFF = "off"
REMOVALS = [("not shown", OFF), ("to the mean colour", "mean"), ("to black", "zero"), ("to a blur", "blur")]
REMOVALS += [("to what is around", "noisy_linear")]
LARGE = 3 * 64 * 64  # numbers of an input from which on removal is shown when asked for
KEPT = 64  # answers that are not asked for again


def explore(
    model: Model,
    data: Split | Part | Tensor,
    *,
    classes: Sequence[str] | None = None,
    method: str = "gradient_times_input",
    picture: int = 0,
    methods: Sequence[str] | None = None,
    upload: bool = False,
) -> "Explorer":
    """Explain single inputs and move everything: input, class, method, knobs, colours.

    Inputs are pictures, or rows of a table, whose maps are bars. Shown are the probabilities, the map on a scale
    symmetric around zero, its mask where one is known, what it cost, and how fast the class is lost when what the map
    calls important is removed. Methods that are not right for the model are listed with the reason, see `xnb.lint`.

    Args:
        data: the test part of a split, a part, or inputs alone.
        classes: their names; those of the split if omitted.
        method: which is shown first.
        picture: which input is shown first.
        methods: those that are offered; trying all of them takes a minute with a large network.
        upload: with a button for pictures of one's own, brought to the size of the others.

    Raises:
        ValueError: as `xnb.explain`; later refusals are shown in the widget.
    """
    return Explorer(subject(model, data, classes), Question(picture=picture, method=method), methods, upload=upload)


class Explorer(Panel):
    """See `explore`."""

    def __init__(
        self, subject: Subject, start: Question, methods: Sequence[str] | None = None, *, upload: bool = False
    ) -> None:
        self.subject, self.answers, self.own, self.refused = subject, {}, {}, ""
        table = verdicts(subject, methods)
        classes = [(name, k) for k, name in enumerate(subject.classes)]
        controls = {
            "picture": slider(W.IntSlider, "picture", start.picture, 0, len(subject.x) - 1),
            "target": choice("class", [("what the model says", AUTOMATIC), *classes], start.target),
            "rather": choice("rather than", [("no other class", AUTOMATIC), *classes], start.rather),
            "method": choice("method", offered(table["valid"].astype(bool)), start.method),
            "knobs": W.VBox(),
            "scale": choice("colours", SCALES, "largest"),
            "opacity": slider(W.FloatSlider, "opacity", 1.0, 0, 1, 0.05),
            "normalised": tick("numbers as shares of the end of the scale", False),
            "outline": tick("outline of the true evidence", subject.masks is not None),
            "removal": choice("removal", removals(subject), "mean" if subject.x[0].numel() <= LARGE else OFF),
            "refused": W.HTML(markup.reasons(table["reason"][~table["valid"].astype(bool)].to_dict())),
        }
        if upload:
            controls = {"upload": W.FileUpload(accept="image/*", description="your picture"), **controls}
            controls["upload"].observe(self.receive, "value")
        controls["outline"].disabled = subject.masks is None
        controls["opacity"].disabled = subject.x.ndim == 2  # a table's row has nothing to lay its bars over
        controls["scale"].observe(self.hold, "value")  # before the panel's own observers, which draw
        controls["method"].observe(self.turn, "value")
        self.end = 1.0
        super().__init__(controls, ("view", "facts", "removal", "code"))
        self.turn()
        self.refresh()

    def turn(self, change: object = None) -> None:
        """Show the knobs of the method that is chosen; each method keeps where its own were."""
        method = self.controls["method"].value
        if method not in self.own:
            self.own[method] = knobs.controls(method, self.subject)
            for knob in self.own[method].values():
                self.follow(knob)
        self.controls["knobs"].children = [*self.own[method].values()]

    def receive(self, change: Bunch) -> None:
        """Show an uploaded picture, or why it cannot be shown."""
        if not change.new:
            return
        try:
            x = uploaded(bytes(change.new[-1]["content"]), tuple(self.subject.x.shape[2:]), self.subject.x.shape[1])
        except ValueError as refusal:
            self.refused = str(refusal)
            return
        self.subject = self.subject.joined(x)
        self.controls["picture"].max = len(self.subject.x) - 1
        self.controls["picture"].value = len(self.subject.x) - 1

    def hold(self, change: Bunch) -> None:
        """Keep the end of the scale where it was before."""
        if change.new == "held":
            self.end = end(self.answer(), Look(scale=change.old))

    @property
    def question(self) -> Question:
        """What the controls ask now."""
        method = self.controls["method"].value
        given = tuple((name, chosen(knob)) for name, knob in self.own.get(method, {}).items())
        picture, target, rather = (chosen(self.controls[name]) for name in ("picture", "target", "rather"))
        return Question(picture, target, rather, method, given)

    @property
    def look(self) -> Look:
        """How the controls want it drawn."""
        values = {name: self.controls[name].value for name in ("scale", "normalised", "opacity", "outline")}
        return Look(end=self.end, **values)

    def answer(self) -> Answer:
        """The answer to the question, asked once."""
        question = self.question
        if question not in self.answers:
            while len(self.answers) >= KEPT:
                self.answers.pop(next(iter(self.answers)))
            self.answers[question] = answer(self.subject, question)
        return self.answers[question]

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The map that is shown, `(H, W, 3)`."""
        return picture(self.subject, self.question, self.answer(), self.look)

    def draw(self) -> Iterator[tuple[str, str]]:
        if self.refused:
            yield "view", markup.message(self.refused)
            self.refused = ""
            return
        question, look, found = self.question, self.look, self.answer()
        yield "view", view(self.subject, question, found, look)
        yield "facts", facts(self.subject, found)
        yield "code", markup.code("Copy as code", code(self.subject, question, found, look))
        yield "removal", removal(self.subject, question, found, self.controls["removal"].value)

    def words(self) -> str:
        question = self.question
        return f"explore: input {question.picture}, {question.method}. Run the cell to move it."

    def still(self) -> Figure:
        question, look, found = self.question, self.look, self.answer()
        pictures = self.subject.x.ndim > 2
        fig, axes = static.figure(3) if pictures else static.figure(3, width=9.0, height=5.0)
        static.shown(original(self.subject, question, look), axes[0], said(self.subject, question, found))
        static.shown(picture(self.subject, question, found, look), axes[1], question.method)
        static.shares(*likely(self.subject, found), axes[2])
        return fig


def said(subject: Subject, question: Question, found: Answer) -> str:
    """The input's number, what the model says of it and what it is."""
    best, true = int(found.said.argmax()), subject.truth(question.picture)
    wrong = f", in truth {true}" if true and true != subject.classes[best] else ""
    return f"input {question.picture}: {subject.classes[best]}{wrong}"


def likely(subject: Subject, found: Answer) -> tuple[list[str], NDArray]:
    """The most probable classes and the explained one, with their probabilities."""
    order = [*found.said.argsort()[::-1][:MOST]]
    order += [found.target] if found.target not in order else []
    return [subject.classes[k] for k in order], found.said[order]


def verdicts(subject: Subject, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """What `xnb.lint` says of each method, or of some."""
    x, target = subject.input(0), subject.said(0).argmax()[None]
    with silently():
        return pd.DataFrame({name: verdict(subject.model, x, target, name) for name in methods or METHODS}).T


def offered(valid: pd.Series) -> list[tuple[str, str]]:
    """Names of the methods that may be chosen, family by family; controls are called so."""
    names = sorted(valid.index[valid], key=lambda name: FAMILIES.index(METHODS.cards[name].family))
    return [(f"{name} (control)" if METHODS.cards[name].family == "control" else name, name) for name in names]


def view(subject: Subject, question: Question, found: Answer, look: Look) -> str:
    """Picture and map."""
    rather = "" if question.rather is None else f" rather than {subject.classes[question.rather]}"
    limit = end(found, look)
    bar = markup.scale(1.0, unit=f"= {limit:.2g}") if look.normalised else markup.scale(limit)
    caption, alt = said(subject, question, found), words(subject, question, found)
    known = look.outline and subject.mask(question.picture) is not None
    outline = "; outline: the true evidence" if known else ""
    left = markup.image(original(subject, question, look), f"{caption}{outline}", caption)
    above = f"{question.method} for {subject.classes[found.target]}{rather}"
    return markup.row(left, markup.column(markup.image(picture(subject, question, found, look), alt, above), bar))


def facts(subject: Subject, found: Answer) -> str:
    """Probabilities and costs."""
    names, values = likely(subject, found)
    said = markup.bars(names, values, mark=subject.classes[found.target])
    return markup.column(said, markup.table("Ledger", costs(found)), width="256px")


def removal(subject: Subject, question: Question, found: Answer, impute: str) -> str:
    """How the class is lost as pixels go: those that the map calls most important first, and last."""
    if impute == OFF:
        return ""
    lost = curves(subject, question, found, impute)
    gap = float(np.mean(lost["least important first"]) - np.mean(lost["most important first"]))
    alt = ", ".join(f"{name}: mean {np.mean(values):.2f}" for name, values in lost.items())
    head = f"Probability of {subject.classes[found.target]} as pixels go"
    return markup.lines(head, lost, alt=alt, across=f"from none to all pixels; area between {gap:+.2f}")


def removals(subject: Subject) -> list[tuple[str, str]]:
    """What may stand where something was: a table's row has no surroundings."""
    pictures = subject.x.ndim == 4
    return [(name, fill) for name, fill in REMOVALS if pictures or fill in (OFF, "mean", "zero")]


def costs(found: Answer) -> dict[str, str]:
    """The ledger in words: the passes of this input, prediction and checks included."""
    bill = found.ledger
    facts = {
        "passes forward, backward": f"{bill['forward']:.4g}, {bill['backward']:.4g}",
        "milliseconds": f"{1000 * bill['seconds']:.0f}",
        "gap of completeness": f"{bill['gap']:.1%}",
        "standard error": f"{bill['standard_error']:.1%}",
    }
    return {name: "–" if "nan" in fact else fact for name, fact in facts.items()}
