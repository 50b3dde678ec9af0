"""The state of an explorer: the question that is asked, how the answer is drawn, and the numbers of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.regions import square_grid
from xnb.adapters import contrast
from xnb.explanation import explain
from xnb.metrics.removal import removal_curve
from xnb.types import Batch, Model
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
    """Numbers of one explanation: probabilities, the class it is for, the map `(C, h, w)`, and what it cost."""

    probabilities: NDArray
    target: int
    attribution: Tensor
    ledger: Mapping[str, float]

    @property
    def heat(self) -> NDArray:
        """The map, summed over channels; of a table's row as it is."""
        a = self.attribution[0]
        summed = a.sum(0) if a.ndim > 1 else a
        return summed.cpu().numpy()


def answer_question(subject: Subject, question: Question) -> MapAnswer:
    """Explain the model as the question asks."""
    x = subject.input(question.picture)
    probabilities = subject.class_probabilities(question.picture)
    target = int(probabilities.argmax()) if question.target is None else question.target
    model, index = _explained_logit(subject, question, target)

    method = question.method
    knobs = {method: _resolve_knobs(question, x)}
    explanation = explain(model, x, subject.target_of(index), [method], knobs=knobs)

    # The prediction and the checks are billed apart, as several methods would share them: here there is one.
    ledger: dict[Any, float] = explanation.ledger.loc[method].to_dict()
    shared: dict[Any, float] = explanation.ledger.loc["shared"].to_dict()
    for cost in ("forward", "backward", "seconds"):
        ledger[cost] += shared[cost]
    return MapAnswer(probabilities, target, explanation.attributions[method], ledger)


def _explained_logit(subject: Subject, question: Question, target: int) -> tuple[Model, int]:
    """Model to explain and index of its logit: the subject's own, or the contrast of two classes."""
    if question.rather is None:
        return subject.model, target
    return contrast(subject.model, target, question.rather, of=len(subject.classes)), 1


def _resolve_knobs(question: Question, x: Batch) -> dict[str, Any]:
    """Knobs as the method takes them: a number of squares becomes the regions themselves."""
    knobs: dict[str, Any] = dict(model_knobs(question))
    if "regions" in knobs:
        H, W = x.shape[2:]
        regions = square_grid(H, W, knobs["regions"])
        knobs["regions"] = regions.to(x.device)
    return knobs


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
    x = subject.input(question.picture)
    target = subject.target_of(answer.target)
    curves = {}
    for first in ("most", "least"):
        curve = removal_curve(
            subject.model,
            x,
            target,
            answer.attribution,
            first=first,
            unit="probability",
            steps=_REMOVAL_STEPS,
            impute=impute,
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
