"""What is read of the model: the score itself, its probability, or how far it is ahead of the other classes."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from xnb.access.score import ready
from xnb.check import require
from xnb.types import Batch, Model, Target

Unit = Literal["score", "probability", "margin"]


def probability(model: Model) -> Model:
    """The model with the softmax of its logits: in [0, 1], and flat where it is sure."""
    return lambda x: model(x).softmax(1)


def margin(model: Model) -> Model:
    """Each logit less the best other one: positive for the class that is predicted, and for no other."""

    def ahead(x: Batch) -> Tensor:
        out = model(x)
        several = out.ndim == 2 and out.shape[1] >= 2
        require(several, "metrics: the model must return logits (B, K) of at least two classes", out)
        first, second = out.topk(2).values.split(1, dim=1)
        return out - first.where(out < first, second)

    return ahead


READINGS: dict[Unit, Callable[[Model], Model]] = {
    "score": lambda model: model,
    "probability": probability,
    "margin": margin,
}


def reading(unit: Unit, model: Model, x: Batch, target: Target) -> Model:
    """The model whose logits are in that unit; what `access.score` refuses is refused here, where the module is seen.

    Raises:
        ValueError: an unknown unit, or as `xnb.access.score.score`.
    """
    require(unit in READINGS, f"metrics: unit must be one of {list(READINGS)}", unit, "unit='score'")
    ready(model, x, target)
    return READINGS[unit](model)
