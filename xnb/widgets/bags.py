"""Bags of pictures: each instance with what it is said to do for a class."""

from collections.abc import Iterator

import ipywidgets as W
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xnb.applicability import verdict
from xnb.explanation import explain
from xnb.widgets import markup, pixels, static
from xnb.widgets.explained import Subject
from xnb.widgets.panel import Panel, choice, slider

METHODS = ("leave_one_out", "gradient_weighted_attention", "raw_attention", "value_weighted_attention")
METHODS += ("gradient_times_input", "integrated_gradients", "gradient", "random")
EVIDENCE, POSITION = "evidence, most for it first", "place in the bag"
TILE = 56
SIGNS = {1: "for", -1: "against", 0: "neither"}


class Bags(Panel):
    """Instances by evidence; a widget of `attention`."""

    def __init__(self, subject: Subject, bag: int) -> None:
        self.subject = subject
        names = instance_methods(subject)
        classes, first = [(name, k) for k, name in enumerate(subject.classes)], int(subject.said(bag).argmax())
        controls = {
            "bag": slider(W.IntSlider, "bag", bag, 0, len(subject.x) - 1),
            "target": choice("class", classes, first),
            "method": choice("method", names, names[0]),
            "order": choice("order", [EVIDENCE, POSITION], EVIDENCE),
        }
        super().__init__(controls)
        self.refresh()

    def asked(self) -> tuple[int, int, str]:
        return tuple(self.controls[name].value for name in ("bag", "target", "method"))

    @property
    def picture(self) -> NDArray[np.uint8]:
        """All instances in the order that is shown, framed by their evidence."""
        values = evidence(self.subject, *self.asked())
        return sheet(self.subject, self.controls["bag"].value, values, self.rows(values))

    def rows(self, values: NDArray) -> NDArray:
        """Instances in the order in which they are shown."""
        first = self.controls["order"].value == EVIDENCE
        return np.argsort(-values, kind="stable") if first else np.arange(len(values))

    def draw(self) -> Iterator[tuple[str, str]]:
        bag, target, method = self.asked()
        values, name = evidence(self.subject, *self.asked()), self.subject.classes[target]
        order = self.rows(values)
        said = self.subject.said(bag).cpu().numpy()
        numbers = ", ".join(f"{values[n]:+.2g}" for n in order)
        caption = f"bag {bag}: {method} for {name}"
        picture = markup.image(sheet(self.subject, bag, values, order), f"{caption}: {numbers}", caption)
        scale = markup.scale(float(np.abs(values).max()) or 1.0)
        bars = markup.bars(self.subject.classes, said, mark=name)
        facts = markup.table("Instances", told(self.subject, bag, target, values, order))
        yield "view", markup.row(markup.column(picture, scale), markup.column(bars, facts))

    def words(self) -> str:
        return f"attention: bag {self.controls['bag'].value}. Run the cell to move it."

    def still(self) -> Figure:
        bag, target, method = self.asked()
        fig, axes = static.figure(2)
        static.shown(self.picture, axes[0], f"bag {bag}: {method} for {self.subject.classes[target]}")
        static.shares(self.subject.classes, self.subject.said(bag).cpu().numpy(), axes[1])
        return fig


def instance_methods(subject: Subject) -> list[str]:
    """Those that are quick, and right for the model."""
    x, target = subject.input(0), subject.said(0).argmax()[None]
    return [name for name in METHODS if verdict(subject.model, x, target, name)["valid"]]


def evidence(subject: Subject, bag: int, target: int, method: str) -> NDArray:
    """One number an instance `(N,)`: what the method says of it for the class."""
    x = subject.input(bag)
    found = explain(subject.model, x, torch.tensor([target], device=x.device), [method])
    return found.attributions[method][0].flatten(1).sum(1).cpu().numpy()


def sheet(subject: Subject, bag: int, values: NDArray, order: NDArray) -> NDArray[np.uint8]:
    """The instances in rows of four or more, each framed in the colour of its evidence."""
    frames = pixels.signed(values, float(np.abs(values).max()) or 1.0)
    inner = TILE - 16
    tiles = np.repeat(np.repeat(frames[:, None, None], TILE, 1), TILE, 2)
    for n, picture in enumerate(subject.x[bag].cpu()):
        tiles[n, 8 : 8 + inner, 8 : 8 + inner] = pixels.stretched(pixels.picture(picture), (inner, inner))
    return pixels.montage(tiles[order], max(4, int(np.ceil(np.sqrt(len(order))))), gap=4)


def told(subject: Subject, bag: int, target: int, values: NDArray, order: NDArray) -> dict[str, str]:
    """Numbers of the instances, with the truth where it is known."""
    truth = None if subject.evidence is None else subject.evidence[bag, :, target].tolist()
    ends = ["" if sign is None else f", in truth {SIGNS[sign]}" for sign in truth or [None] * len(order)]
    return {f"instance {n + 1}": f"{values[n]:+.2g}{ends[n]}" for n in order}
