"""In what unit a metric reads the model's output: as it is, as a probability, or as a margin over what it is not.

A model tells its classes apart in one of three ways, and the numbers alone do not always show which: the largest of
several logits (their softmax is the probability), a logit for each label by itself (its sigmoid is), or probabilities
that it states. One logit z stands for two classes, z for class 1 and -z for class 0.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xnb.access.memo import answer_once
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model, Target

Link = Literal["probability", "softmax", "sigmoid", "as is"]  # what makes a probability of the output
Unit = Literal["score", "as is", "probability", "softmax", "sigmoid", "margin"]
_STATING = {"softmax", "sigmoid", "sigmoid_", "expit", "hardsigmoid"}  # functions whose results are probabilities
_ROUNDING = 1e-2  # of a sum of probabilities in low precision


class _SeenOutput(NamedTuple):
    """What an input shows of a model's output.

    Attributes:
        columns: how many numbers it has.
        within: whether all lie in [0, 1].
        exclusive: whether they also sum to 1.
        stated: whether they are known to be probabilities.
        hidden: whether they came from outside of torch, so that what made them cannot be seen.
    """

    columns: int
    within: bool
    exclusive: bool
    stated: bool
    hidden: bool


class _Reading(NamedTuple):
    """How probabilities are read from an output.

    Attributes:
        stated: they are the output itself.
        exclusive: one class at a time, rather than each label by itself.
    """

    stated: bool
    exclusive: bool


def convert_output(unit: Unit, model: Model, x: Batch, target: Target) -> Model:
    """Return a model whose output is in that unit.

    * "score": the logit, what is explained. "as is" is the same, but a single stated probability p of class 1 is
      1 - p for class 0.
    * "softmax" or "sigmoid": the probability, by this function of the logits; of one logit both are its sigmoid.
    * "probability": the same, found out: the output itself where it is seen to state probabilities, else softmax. A
      model with a logit for each label looks like one of classes: name "sigmoid" there.
    * "margin": each logit less the best other one, so that it is positive for the predicted class alone; of one logit,
      the logit.

    What `access.score` refuses is refused here, as a converted model is a function and no longer a module.

    Raises:
        ValueError: an unknown unit, a softmax or sigmoid of what are probabilities already, or as
            `xnb.access.score.score`.
    """
    known = Unit.__args__  # type: ignore[attr-defined]
    require(unit in known, f"metrics: unit must be one of {list(known)}", unit, "unit='score'")
    check_explainable(model, x, target)
    if unit == "score":
        return model
    seen = _see_output(model, x)
    if unit == "margin":
        return partial(_margin_of_each, model, _choose_reading("probability", seen))
    if unit == "as is" and not (seen.stated and seen.columns == 1):
        return model
    return partial(_probability_of_each, model, _choose_reading(unit, seen))


def convert_to_margin(link: Link, model: Model, x: Batch, target: Target) -> Model:
    """Return a model whose output is positive where a class is predicted, and negative where it is not.

    Args:
        link: "softmax": over the best other class. "sigmoid": over the label's own absence, which is the logit. "as
            is": of stated probabilities, over the best other class if they sum to 1, else over one half.

    Raises:
        ValueError: as `convert_output`.
    """
    known = Link.__args__  # type: ignore[attr-defined]
    require(link in known, f"metrics: unit must be one of {list(known)}", link, "unit='softmax'")
    check_explainable(model, x, target)
    return partial(_margin_of_each, model, _choose_reading(link, _see_output(model, x)))


def _see_output(model: Model, x: Batch) -> _SeenOutput:
    """Look at the output for one input and its half, and at the function that made it."""

    def look() -> _SeenOutput:
        one = torch.cat([x[:1], x[:1] / 2])  # a second input, as the logits of one may well sum to 1
        with select_rows(slice(1), len(x), 2), torch.no_grad(), _OutputWatch() as watch:
            out = chunk_logits(model, one)
        within = bool(((out >= 0) & (out <= 1)).all())
        sums_to_one = bool(((out.sum(1) - 1).abs() < _ROUNDING).all())
        exclusive = within and sums_to_one and out.shape[1] > 1
        stated = exclusive or (within and any(_comes_from(out, made) for made in watch.stated))
        return _SeenOutput(out.shape[1], within, exclusive, stated, watch.left_torch)

    return answer_once(("output", model, x), look)


class _OutputWatch(TorchFunctionMode):
    """While it is open, keeps results that are probabilities, and notes whether values leave torch."""

    def __init__(self) -> None:
        super().__init__()
        self.stated: list[Tensor] = []
        self.left_torch = False

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        self.left_torch |= name in {"numpy", "__array__", "tolist"}
        if name in _STATING and isinstance(result, Tensor):
            self.stated.append(result.clone())
        return result


def _comes_from(out: Tensor, made: Tensor) -> bool:
    """Whether the output consists of values that a function made: a column of them, say."""
    return bool(torch.isin(out, made.to(out)).all())


def _choose_reading(link: Link, seen: _SeenOutput) -> _Reading:
    """How to read probabilities, of what was asked for and what was seen."""
    if link == "as is":
        rule = "metrics: unit='as is' reads probabilities, in [0, 1]"
        require(seen.within, rule, "other numbers", "unit='softmax'")
        return _Reading(True, seen.exclusive)
    if link == "probability":
        unknown = seen.within and seen.hidden and not seen.stated
        rule = "metrics: whether these outputs in [0, 1] are probabilities cannot be seen"
        require(not unknown, rule, f"{seen.columns} outputs", "unit='as is'  # they are; of logits: unit='sigmoid'")
        return _Reading(seen.stated, seen.exclusive or not seen.stated)
    if seen.stated:
        refuse(f"metrics: the model states probabilities already, no {link} is taken of them", link, "unit='as is'")
    return _Reading(False, link == "softmax")


def _probability_of_each(model: Model, reading: _Reading, x: Batch) -> Logits:
    """Probabilities of the classes; of one output those of the two classes that it stands for."""
    return to_probabilities(model(x), stated=reading.stated, exclusive=reading.exclusive)


def to_probabilities(out: Logits, *, stated: bool, exclusive: bool) -> Float[Tensor, "B classes"]:
    """Probability of each class, of outputs as they were read; one output speaks for class 1 of two."""
    if _is_single(out):
        if stated:
            return torch.cat([1 - out, out], 1)
        return torch.cat([-out, out], 1).sigmoid()
    if stated:
        return out
    if exclusive:
        return out.softmax(1)
    return out.sigmoid()


def _margin_of_each(model: Model, reading: _Reading, x: Batch) -> Logits:
    """Positive for what is predicted, and for nothing else."""
    out = model(x)
    if _is_single(out) or not reading.exclusive:
        return out - 0.5 if reading.stated else out
    first, second = out.topk(2).values.split(1, dim=1)
    return out - first.where(out < first, second)


def _is_single(out: Tensor) -> bool:
    return out.ndim == 2 and out.shape[1] == 1
