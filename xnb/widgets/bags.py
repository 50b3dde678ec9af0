"""Bags of pictures: each instance with its evidence for a class, by a method."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xnb.explanation import explain
from xnb.explanation.applicability import try_method
from xnb.widgets import markup, pixels, static
from xnb.widgets.explained import Subject
from xnb.widgets.panel import Panel, make_dropdown, make_input_slider, number_classes
from xnb.widgets.pixels import Pixels

# Those that are quick; the ones that are right for the model are offered.
_INSTANCE_METHODS = (
    "leave_one_out",
    "gradient_weighted_attention",
    "raw_attention",
    "value_weighted_attention",
    "gradient_times_input",
    "integrated_gradients",
    "gradient",
    "random",
)
_BY_EVIDENCE = "evidence, most for it first"
_BY_POSITION = "place in the bag"
_INSTANCE_SIDE = 56  # pixels, with the frame
_FRAME = 8  # pixels on each side
_LEAST_COLUMNS = 4
_TRUTH_WORDS = {1: "for", -1: "against", 0: "neither"}


class BagPanel(Panel):
    """The widget of `xnb.widgets.attention` for bags: their instances in the order of their evidence."""

    def __init__(self, subject: Subject, bag: int) -> None:
        self.subject = subject
        super().__init__(_bag_controls(subject, bag))
        self.refresh()

    @property
    def bag(self) -> int:
        return self.controls["bag"].value

    @property
    def target(self) -> int:
        return self.controls["target"].value

    @property
    def method(self) -> str:
        return self.controls["method"].value

    def evidence(self) -> NDArray:
        """One number an instance, for what the controls select now."""
        return instance_evidence(self.subject, self.bag, self.target, self.method)

    def order(self, values: NDArray) -> NDArray:
        """Indices of the instances in the order in which they are shown."""
        if self.controls["order"].value == _BY_EVIDENCE:
            return np.argsort(-values, kind="stable")
        return np.arange(len(values))

    @property
    def picture(self) -> Pixels:
        """All instances in the order that is shown, framed by their evidence."""
        values = self.evidence()
        return _draw_instances(self.subject, self.bag, values, self.order(values))

    def draw(self) -> Iterator[tuple[str, str]]:
        values = self.evidence()
        order = self.order(values)
        colour_bar = markup.scale_html(_evidence_end(values))
        picture = markup.column_html(self._instances_page(values, order), colour_bar)
        yield "view", markup.row_html(picture, self._facts_page(values, order))

    def _instances_page(self, values: NDArray, order: NDArray) -> str:
        caption = self._caption()
        numbers = ", ".join(f"{values[n]:+.2g}" for n in order)
        rgb = _draw_instances(self.subject, self.bag, values, order)
        return markup.image_html(rgb, f"{caption}: {numbers}", caption)

    def _facts_page(self, values: NDArray, order: NDArray) -> str:
        """What the model predicts, and the numbers of the instances."""
        probabilities = self.subject.class_probabilities(self.bag)
        classes = self.subject.classes
        bars = markup.bars_html(classes, probabilities, mark=classes[self.target])
        truth = _true_evidence(self.subject, self.bag, self.target)
        facts = {}
        for n in order:
            facts[f"instance {n + 1}"] = f"{values[n]:+.2g}{truth[n]}"
        return markup.column_html(bars, markup.table_html("Instances", facts))

    def _caption(self) -> str:
        return f"bag {self.bag}: {self.method} for {self.subject.classes[self.target]}"

    def describe(self) -> str:
        return f"attention: bag {self.bag}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the instances and the probabilities."""
        fig, axes = static.new_figure(2)
        static.show_pixels(self.picture, axes[0], self._caption())
        probabilities = self.subject.class_probabilities(self.bag)
        static.show_probabilities(self.subject.classes, probabilities, axes[1])
        return fig


def _bag_controls(subject: Subject, bag: int) -> dict[str, Any]:
    """Make the controls, for the class that the model predicts at first."""
    names = _choose_instance_methods(subject)
    classes = number_classes(subject.classes)
    return {
        "bag": make_input_slider(len(subject.x), bag, "bag"),
        "target": make_dropdown("class", classes, subject.predicted_class(bag)),
        "method": make_dropdown("method", names, names[0]),
        "order": make_dropdown("order", [_BY_EVIDENCE, _BY_POSITION], _BY_EVIDENCE),
    }


def _choose_instance_methods(subject: Subject) -> list[str]:
    """Choose the methods that are right for the model."""
    target = subject.target_of(subject.predicted_class(0))
    with subject.run_input(0) as x:
        return [name for name in _INSTANCE_METHODS if try_method(subject.model, x, target, name) is None]


def instance_evidence(subject: Subject, bag: int, target: int, method: str) -> NDArray:
    """Sum the method's attribution for the class over each instance `(N,)`."""
    with subject.run_input(bag) as x:
        explanation = explain(subject.model, x, subject.target_of(target), [method])
    attribution = explanation.attributions[method]
    return attribution[0].flatten(1).sum(1).cpu().numpy()


def _evidence_end(values: NDArray) -> float:
    """Where the colour scale of the frames ends."""
    return float(np.abs(values).max()) or 1.0


def _draw_instances(subject: Subject, bag: int, values: NDArray, order: NDArray) -> Pixels:
    """Draw the instances in rows of four or more, each framed in the colour of its evidence."""
    colours = pixels.signed_colours(values, _evidence_end(values))
    # A tile (side, side, 3) all in its colour; what the picture does not cover is the frame.
    lines = np.repeat(colours[:, None, None], _INSTANCE_SIDE, 1)
    tiles = np.repeat(lines, _INSTANCE_SIDE, 2)
    inside = slice(_FRAME, _INSTANCE_SIDE - _FRAME)
    inner = _INSTANCE_SIDE - 2 * _FRAME
    for n, picture in enumerate(subject.x[bag].cpu()):
        rgb = pixels.to_rgb(picture)
        tiles[n, inside, inside] = pixels.resize_nearest(rgb, (inner, inner))
    columns = int(np.ceil(np.sqrt(len(order))))  # about as wide as high
    return pixels.montage(tiles[order], max(_LEAST_COLUMNS, columns), gap=4)


def _true_evidence(subject: Subject, bag: int, target: int) -> list[str]:
    """Words for the true evidence of each instance for the class, empty where it is not known."""
    if subject.evidence is None:
        return [""] * subject.x.shape[1]
    signs = subject.evidence[bag, :, target].tolist()
    return [f", in truth {_TRUTH_WORDS[sign]}" for sign in signs]
