"""The state of an explorer: the question that is asked, how the answer is drawn, and the numbers of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.regions import square_grid
from xnb.adapters import contrast
from xnb.check import PromiseWarning
from xnb.explanation import explain
from xnb.methods import METHODS
from xnb.metrics.removal import removal_curve
from xnb.types import Model
from xnb.widgets.explained import Subject

_Scale = Literal["largest", "clip", "held"]
_CLIP_PERCENTILE = 99  # of the magnitudes, where a clipped scale ends
_REMOVAL_STEPS = 16


@dataclass(frozen=True)
class Question:
    """What is asked of the model: for which input and class, rather than which other class, by which method."""

    picture: int = 0
    target: int | None = None  # None: the class that the model predicts
    rather: int | None = None
    method: str = "gradient_times_input"
    knobs: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Look:
    """How the answer is drawn. `end` is where the colour scale ends if it is held."""

    scale: _Scale = "largest"
    end: float = 1.0
    normalised: bool = False
    opacity: float = 1.0
    outline: bool = True


@dataclass(frozen=True)
class MapAnswer:
    """Numbers of one explanation: probabilities, the class it is for, the map, and what it cost.

    Attributes:
        of_text: whether the map is one of embeddings `(T, D)`, and not of channels first.
        warnings: promises of the method that are not kept.
    """

    probabilities: NDArray
    target: int
    attribution: Tensor
    ledger: Mapping[str, Any]
    of_text: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def heat(self) -> NDArray:
        """The map, summed over channels, of a text over what embeds a word; of a table's row as it is."""
        a = self.attribution[0]
        summed = a.sum(-1 if self.of_text else 0) if a.ndim > 1 else a
        return summed.cpu().numpy()


def answer_question(subject: Subject, question: Question) -> MapAnswer:
    """Explain the model as the question asks."""
    probabilities = subject.class_probabilities(question.picture)
    target = int(probabilities.argmax()) if question.target is None else question.target
    model, index = _explained_logit(subject, question, target)

    method = question.method
    knobs = {method: _resolve_knobs(subject, question)}
    with catch_warnings(record=True) as caught, subject.run_input(question.picture) as x:
        simplefilter("always", PromiseWarning)  # again for each question, though it comes from the same line
        explanation = explain(model, x, subject.target_of(index), [method], knobs=knobs)
    broken = tuple(str(each.message) for each in caught if issubclass(each.category, PromiseWarning))

    # The prediction and the checks are billed apart, as several methods would share them: here there is one.
    ledger: dict[Any, float] = explanation.ledger.loc[method].to_dict()
    shared: dict[Any, float] = explanation.ledger.loc["shared"].to_dict()
    for cost in ("forward", "backward", "seconds"):
        ledger[cost] += shared[cost]
    of_text = subject.kind == "text"
    return MapAnswer(probabilities, target, explanation.attributions[method], ledger, of_text, broken)


def _explained_logit(subject: Subject, question: Question, target: int) -> tuple[Model, int]:
    """Model to explain and index of its logit: the subject's own, or the contrast of two classes."""
    if question.rather is None:
        return subject.model, target
    return contrast(subject.model, target, question.rather, of=len(subject.classes)), 1


def _resolve_knobs(subject: Subject, question: Question) -> dict[str, Any]:
    """Knobs as the method takes them: a number of squares becomes the regions themselves, each word is one."""
    knobs: dict[str, Any] = dict(model_knobs(question))
    x = subject.input(question.picture)
    if "regions" in knobs:
        H, W = x.shape[2:]
        regions = square_grid(H, W, knobs["regions"])
        knobs["regions"] = regions.to(x.device)
    if splits_words(subject, question.method):
        knobs["regions"] = torch.arange(x.shape[1], device=x.device)[:, None]
    return knobs


def splits_words(subject: Subject, method: str) -> bool:
    """Whether a text is explained by a method of regions, each of which is a word."""
    return subject.kind == "text" and "regions" in signature(METHODS[method]).parameters


def model_knobs(question: Question) -> list[tuple[str, object]]:
    """Knobs with the names that layers have in the explained model: within a contrast they begin with "model."."""
    knobs = list(question.knobs)
    if question.rather is None:
        return knobs
    return [(name, f"model.{value}") if name == "layer" and value else (name, value) for name, value in knobs]


def scale_end(answer: MapAnswer, look: Look) -> float:
    """Where the colour scale ends, in the unit of the map."""
    if look.scale == "held":
        return look.end
    magnitude = np.abs(answer.heat)
    if look.scale == "clip":
        return float(np.percentile(magnitude, _CLIP_PERCENTILE)) or 1.0
    return float(magnitude.max()) or 1.0


def probability_curves(
    subject: Subject, question: Question, answer: MapAnswer, impute: str = "mean"
) -> dict[str, NDArray]:
    """Probability of the explained class while the picture is removed, 1/16 at a time, in both orders."""
    target = subject.target_of(answer.target)
    curves = {}
    for first in ("most", "least"):
        with subject.run_input(question.picture) as x:
            curve = removal_curve(
                subject.probabilities_of,  # a function of inputs, like the model, in the unit that the panel shows
                x,
                target,
                answer.attribution,
                first=first,
                steps=_REMOVAL_STEPS,
                impute=impute,
                units=subject.unit_axes,
            )
        curves[f"{first} important first"] = curve[:, 0].cpu().numpy()  # (steps + 1, B) with B = 1
    return curves


def share_in_mask(subject: Subject, question: Question, heat: NDArray) -> float | None:
    """Share of the magnitude that lies in the mask, where there is one of the same size as the map."""
    mask = subject.mask(question.picture)
    if mask is None or heat.shape != mask.shape:
        return None
    magnitude = np.abs(heat)
    total = magnitude.sum()
    inside = magnitude[mask.cpu().numpy()].sum()
    return float(inside / total) if total else None
