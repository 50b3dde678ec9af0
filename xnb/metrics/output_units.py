"""In what unit a metric reads the model's output: the logit itself, its probability, or its margin over the others."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from xnb.access.model_call import check_explainable
from xnb.check import require
from xnb.types import Batch, Model, Target

Unit = Literal["score", "probability", "margin"]


def _logit_model(model: Model) -> Model:
    """Return the model itself."""
    return model


def _probability_model(model: Model) -> Model:
    """Return the model with the softmax of its logits: in [0, 1], and flat where it is sure."""
    return lambda x: model(x).softmax(1)


def _margin_model(model: Model) -> Model:
    """Return the model with each logit less the best other one: positive for the predicted class, and for no other."""

    def margins(x: Batch) -> Tensor:
        logits = model(x)
        several = logits.ndim == 2 and logits.shape[1] >= 2
        require(several, "metrics: the model must return logits (B, K) of at least two classes", logits)
        first, second = logits.topk(2).values.split(1, dim=1)
        return logits - first.where(logits < first, second)

    return margins


_OUTPUT_UNITS: dict[Unit, Callable[[Model], Model]] = {
    "score": _logit_model,
    "probability": _probability_model,
    "margin": _margin_model,
}


def convert_output(unit: Unit, model: Model, x: Batch, target: Target) -> Model:
    """Return a model whose output is in that unit.

    What `access.score` refuses is refused here, as a converted model is a function and no longer a module.

    Raises:
        ValueError: an unknown unit, or as `xnb.access.score.score`.
    """
    require(unit in _OUTPUT_UNITS, f"metrics: unit must be one of {list(_OUTPUT_UNITS)}", unit, "unit='score'")
    check_explainable(model, x, target)
    return _OUTPUT_UNITS[unit](model)
