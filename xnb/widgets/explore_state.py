"""The state of an explorer, and the pure functions from it to numbers, pictures and code."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.regions import square_grid
from xnb.explanation import explain
from xnb.methods import METHODS
from xnb.metrics.removal import removal_curve
from xnb.types import Batch, Model
from xnb.widgets import pixels, row_bars
from xnb.widgets.explained import Subject, contrast

_Scale = Literal["largest", "clip", "held"]
_CLIP_PERCENTILE = 99  # percentile of the magnitudes at which a clipped scale ends


@dataclass(frozen=True)
class Question:
    """What is asked of the model: which input, for which class, rather than which other, how."""

    picture: int = 0
    target: int | None = None  # None: the class that the model says
    rather: int | None = None
    method: str = "gradient_times_input"
    knobs: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Look:
    """How the answer is drawn. `scale_end` is where the colour scale ends if it is held."""

    scale: _Scale = "largest"
    end: float = 1.0
    normalised: bool = False
    opacity: float = 1.0
    outline: bool = True


@dataclass(frozen=True)
class Answer:
    """Numbers of one explanation: probabilities, the class it is for, the map `(C, h, w)`, and what it cost."""

    said: NDArray
    target: int
    attribution: Tensor
    ledger: Mapping[str, float]

    @property
    def heat(self) -> NDArray:
        """The map, summed over channels; of a table's row as it is."""
        a = self.attribution[0]
        return (a.sum(0) if a.ndim > 1 else a).cpu().numpy()


def answer_question(subject: Subject, question: Question) -> Answer:
    """Ask the model."""
    x, said = subject.input(question.picture), subject.said(question.picture)
    target = int(said.argmax()) if question.target is None else question.target
    model, index = _explained_output(subject, question, target)
    knobs = {question.method: _resolve_knobs(question, x)}
    found = explain(model, x, torch.tensor([index], device=x.device), [question.method], knobs=knobs)
    bill, shared = found.ledger.loc[question.method], found.ledger.loc["shared"]
    ledger = bill.to_dict() | {cost: bill[cost] + shared[cost] for cost in ("forward", "backward", "seconds")}
    return Answer(said.cpu().numpy(), target, found.attributions[question.method], ledger)


def _explained_output(subject: Subject, question: Question, target: int) -> tuple[Model, int]:
    """The model that is explained, and the logit of it."""
    if question.rather is None:
        return subject.model, target
    return contrast(subject.model, target, question.rather, of=len(subject.classes)), 0


def _resolve_knobs(question: Question, x: Batch) -> dict[str, object]:
    """The knobs as the method takes them: a number of squares becomes the regions themselves."""
    return {
        name: square_grid(*x.shape[2:], value).to(x.device) if name == "regions" else value for name, value in _knobs_of_model(question)
    }


def _knobs_of_model(question: Question) -> list[tuple[str, object]]:
    """The knobs; within a contrast the layers of the model begin with "0."."""
    inner = question.rather is not None
    return [(name, f"0.{value}" if name == "layer" and value and inner else value) for name, value in question.knobs]


def scale_end(found: Answer, look: Look) -> float:
    """Where the colour scale ends, in the unit of the map."""
    size = np.abs(found.heat)
    if look.scale == "held":
        return look.end
    return float(np.percentile(size, _CLIP_PERCENTILE) if look.scale == "clip" else size.max()) or 1.0


def draw_input(subject: Subject, question: Question, look: Look) -> NDArray[np.uint8]:
    """The picture that is explained, or the bars of a table's row."""
    x = subject.x[question.picture]
    if x.ndim == 1:
        return row_bars.draw_row_bars(x.cpu(), subject.features, float(x.abs().max()) or 1.0)
    rgb = pixels.resize_nearest(pixels.to_rgb(x.cpu()), pixels.display_size(*x.shape[1:]))
    return outline_evidence(rgb, subject, question, look)


def outline_evidence(rgb: NDArray[np.uint8], subject: Subject, question: Question, look: Look) -> NDArray[np.uint8]:
    """With a line around the true evidence, where it is known and wanted."""
    mask = subject.mask(question.picture) if look.outline else None
    return rgb if mask is None else pixels.draw_outline(rgb, mask.cpu())


def draw_map(subject: Subject, question: Question, found: Answer, look: Look) -> NDArray[np.uint8]:
    """The explanation, over the picture where it is not opaque."""
    x = subject.x[question.picture]
    if x.ndim == 1:
        return row_bars.draw_row_bars(found.heat, subject.features, scale_end(found, look))
    size = pixels.display_size(*x.shape[1:])
    rgb = pixels.resize_nearest(pixels.signed_colours(found.heat, scale_end(found, look)), size)
    if look.opacity < 1:
        rgb = pixels.blend_with_input(rgb, pixels.resize_nearest(pixels.to_rgb(x.cpu()), size), look.opacity)
    return outline_evidence(rgb, subject, question, look)


def removal_curves(
    subject: Subject, question: Question, found: Answer, impute: str = "mean", steps: int = 16
) -> dict[str, NDArray]:
    """Probability of the explained class while the picture is removed, 1/16 at a time, see `xnb.metrics`."""
    x, target = subject.input(question.picture), torch.tensor([found.target], device=subject.x.device)

    def sure(x: Batch) -> Tensor:
        return subject.model(x).softmax(1)

    def lost(first: str) -> NDArray:
        removed = removal_curve(sure, x, target, found.attribution, first=first, steps=steps, impute=impute)
        return removed[:, 0].cpu().numpy()

    return {f"{first} important first": lost(first) for first in ("most", "least")}


def code_lines(subject: Subject, question: Question, found: Answer, look: Look) -> list[str]:
    """Lines that make this map again, of `model` and `data`."""
    x, index = f"{subject.written}[{question.picture}:{question.picture + 1}]", found.target
    x = "x" if subject.own(question.picture) else x  # an uploaded picture is in nobody's data
    model = "model"
    if question.rather is not None:
        model, index = f"contrast(model, {found.target}, {question.rather}, of={len(subject.classes)})", 0
    parameters = signature(METHODS[question.method]).parameters
    knobs = [
        f", {name}={_knob_source(name, value, subject.x)}"
        for name, value in _knobs_of_model(question)
        if name == "regions" or parameters[name].default != value
    ]
    first = f'a = xnb.attribute({model}, {x}, torch.tensor([{index}]), "{question.method}"{"".join(knobs)})'
    if found.heat.ndim == 1:
        return [first, f"plot.bars({list(subject.features)}, a[0], plt.gca(), label='score')"]
    limit = scale_end(found, look)
    under = f", under={x}[0]" if look.opacity < 1 else ""
    part, limit = (f"a[0] / {limit:.4g}", 1) if look.normalised else ("a[0]", f"{limit:.4g}")
    return [first, f"plot.attribution({part}, plt.gca(), limit={limit}{under})"]


def _knob_source(name: str, value: object, x: Batch) -> str:
    return f"regions.grid({x.shape[2]}, {x.shape[3]}, {value})" if name == "regions" else repr(value)


def describe_map(subject: Subject, question: Question, found: Answer) -> str:
    """What the map shows, for who cannot see it."""
    heat, name = found.heat, subject.classes[found.target]
    rather = "" if question.rather is None else f" rather than {subject.classes[question.rather]}"
    place = [np.unravel_index(pick(heat), heat.shape) for pick in (np.argmax, np.argmin)]
    most, least = (f"{heat[at]:+.2g} at {_describe_position(subject, *map(int, at))}" for at in place)
    family = METHODS.cards[question.method].family
    text = f"{question.method} ({family}) for {name}{rather}: most for it {most}; least {least}"
    share = _share_in_mask(subject, question, heat)
    return text + ("." if share is None else f"; {share:.0%} of the magnitude lies in the mask.")


def _describe_position(subject: Subject, row: int, column: int | None = None) -> str:
    """A pixel, or a feature by its name."""
    return subject.features[row] if column is None else f"row {row + 1}, column {column + 1}"


def _share_in_mask(subject: Subject, question: Question, heat: NDArray) -> float | None:
    """Share of the magnitude that lies in the mask, where there is one and the map is as fine."""
    mask = subject.mask(question.picture)
    if mask is None or heat.shape != mask.shape or not np.abs(heat).sum():
        return None
    return float(np.abs(heat)[mask.cpu().numpy()].sum() / np.abs(heat).sum())
