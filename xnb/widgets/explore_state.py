"""The state of an explorer, and the pure functions from it to numbers, pictures and code."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.regions import grid
from xnb.explanation import explain
from xnb.methods import METHODS
from xnb.metrics.removal import curve
from xnb.types import Batch, Model
from xnb.widgets import pixels, row_bars
from xnb.widgets.explained import Subject, contrast

Scale = Literal["largest", "clip", "held"]
CLIP = 99  # percentile of the magnitudes at which a clipped scale ends


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
    """How the answer is drawn. `end` is where the colour scale ends if it is held."""

    scale: Scale = "largest"
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


def answer(subject: Subject, question: Question) -> Answer:
    """Ask the model."""
    x, said = subject.input(question.picture), subject.said(question.picture)
    target = int(said.argmax()) if question.target is None else question.target
    model, index = asked(subject, question, target)
    knobs = {question.method: given(question, x)}
    found = explain(model, x, torch.tensor([index], device=x.device), [question.method], knobs=knobs)
    bill, shared = found.ledger.loc[question.method], found.ledger.loc["shared"]
    ledger = bill.to_dict() | {cost: bill[cost] + shared[cost] for cost in ("forward", "backward", "seconds")}
    return Answer(said.cpu().numpy(), target, found.attributions[question.method], ledger)


def asked(subject: Subject, question: Question, target: int) -> tuple[Model, int]:
    """The model that is explained, and the logit of it."""
    if question.rather is None:
        return subject.model, target
    return contrast(subject.model, target, question.rather, of=len(subject.classes)), 0


def given(question: Question, x: Batch) -> dict[str, object]:
    """The knobs as the method takes them: a number of squares becomes the regions themselves."""
    return {
        name: grid(*x.shape[2:], value).to(x.device) if name == "regions" else value for name, value in named(question)
    }


def named(question: Question) -> list[tuple[str, object]]:
    """The knobs; within a contrast the layers of the model begin with "0."."""
    inner = question.rather is not None
    return [(name, f"0.{value}" if name == "layer" and value and inner else value) for name, value in question.knobs]


def end(found: Answer, look: Look) -> float:
    """Where the colour scale ends, in the unit of the map."""
    size = np.abs(found.heat)
    if look.scale == "held":
        return look.end
    return float(np.percentile(size, CLIP) if look.scale == "clip" else size.max()) or 1.0


def original(subject: Subject, question: Question, look: Look) -> NDArray[np.uint8]:
    """The picture that is explained, or the bars of a table's row."""
    x = subject.x[question.picture]
    if x.ndim == 1:
        return row_bars.drawn(x.cpu(), subject.features, float(x.abs().max()) or 1.0)
    rgb = pixels.stretched(pixels.picture(x.cpu()), pixels.shown_size(*x.shape[1:]))
    return outlined(rgb, subject, question, look)


def outlined(rgb: NDArray[np.uint8], subject: Subject, question: Question, look: Look) -> NDArray[np.uint8]:
    """With a line around the true evidence, where it is known and wanted."""
    mask = subject.mask(question.picture) if look.outline else None
    return rgb if mask is None else pixels.outlined(rgb, mask.cpu())


def picture(subject: Subject, question: Question, found: Answer, look: Look) -> NDArray[np.uint8]:
    """The explanation, over the picture where it is not opaque."""
    x = subject.x[question.picture]
    if x.ndim == 1:
        return row_bars.drawn(found.heat, subject.features, end(found, look))
    size = pixels.shown_size(*x.shape[1:])
    rgb = pixels.stretched(pixels.signed(found.heat, end(found, look)), size)
    if look.opacity < 1:
        rgb = pixels.blended(rgb, pixels.stretched(pixels.picture(x.cpu()), size), look.opacity)
    return outlined(rgb, subject, question, look)


def curves(
    subject: Subject, question: Question, found: Answer, impute: str = "mean", steps: int = 16
) -> dict[str, NDArray]:
    """Probability of the explained class while the picture is removed, 1/16 at a time, see `xnb.metrics`."""
    x, target = subject.input(question.picture), torch.tensor([found.target], device=subject.x.device)

    def sure(x: Batch) -> Tensor:
        return subject.model(x).softmax(1)

    def lost(first: str) -> NDArray:
        removed = curve(sure, x, target, found.attribution, first=first, steps=steps, impute=impute)
        return removed[:, 0].cpu().numpy()

    return {f"{first} important first": lost(first) for first in ("most", "least")}


def code(subject: Subject, question: Question, found: Answer, look: Look) -> list[str]:
    """Lines that make this map again, of `model` and `data`."""
    x, index = f"{subject.written}[{question.picture}:{question.picture + 1}]", found.target
    x = "x" if subject.own(question.picture) else x  # an uploaded picture is in nobody's data
    model = "model"
    if question.rather is not None:
        model, index = f"contrast(model, {found.target}, {question.rather}, of={len(subject.classes)})", 0
    parameters = signature(METHODS[question.method]).parameters
    knobs = [
        f", {name}={written(name, value, subject.x)}"
        for name, value in named(question)
        if name == "regions" or parameters[name].default != value
    ]
    first = f'a = xnb.attribute({model}, {x}, torch.tensor([{index}]), "{question.method}"{"".join(knobs)})'
    if found.heat.ndim == 1:
        return [first, f"plot.bars({list(subject.features)}, a[0], plt.gca(), label='score')"]
    limit = end(found, look)
    under = f", under={x}[0]" if look.opacity < 1 else ""
    part, limit = (f"a[0] / {limit:.4g}", 1) if look.normalised else ("a[0]", f"{limit:.4g}")
    return [first, f"plot.attribution({part}, plt.gca(), limit={limit}{under})"]


def written(name: str, value: object, x: Batch) -> str:
    return f"regions.grid({x.shape[2]}, {x.shape[3]}, {value})" if name == "regions" else repr(value)


def words(subject: Subject, question: Question, found: Answer) -> str:
    """What the map shows, for who cannot see it."""
    heat, name = found.heat, subject.classes[found.target]
    rather = "" if question.rather is None else f" rather than {subject.classes[question.rather]}"
    place = [np.unravel_index(pick(heat), heat.shape) for pick in (np.argmax, np.argmin)]
    most, least = (f"{heat[at]:+.2g} at {where(subject, *map(int, at))}" for at in place)
    family = METHODS.cards[question.method].family
    text = f"{question.method} ({family}) for {name}{rather}: most for it {most}; least {least}"
    share = inside(subject, question, heat)
    return text + ("." if share is None else f"; {share:.0%} of the magnitude lies in the mask.")


def where(subject: Subject, row: int, column: int | None = None) -> str:
    """A pixel, or a feature by its name."""
    return subject.features[row] if column is None else f"row {row + 1}, column {column + 1}"


def inside(subject: Subject, question: Question, heat: NDArray) -> float | None:
    """Share of the magnitude that lies in the mask, where there is one and the map is as fine."""
    mask = subject.mask(question.picture)
    if mask is None or heat.shape != mask.shape or not np.abs(heat).sum():
        return None
    return float(np.abs(heat)[mask.cpu().numpy()].sum() / np.abs(heat).sum())
