"""From what a model returns to the probabilities that a widget shows."""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.check import require
from xnb.metrics.output_units import to_probabilities
from xnb.types import Logits

Unit: TypeAlias = Literal["softmax", "sigmoid", "as is"]
UNITS = ("softmax", "sigmoid", "as is")
_ROUNDING = 1e-3  # to so many digits a model states probabilities


def find_unit(out: Logits) -> Unit:
    """How probabilities are read where nobody says: one logit by its sigmoid, stated ones as they are, else softmax."""
    if out.shape[1] == 1:
        return "sigmoid"
    sums = out.sum(1)
    stated = bool((out >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=_ROUNDING)
    return "as is" if stated else "softmax"


def check_unit(unit: Unit, out: Logits) -> Unit:
    """The unit that somebody asked for, if the outputs can be read so."""
    require(unit in UNITS, f"widgets: unit must be one of {list(UNITS)}", unit, 'unit="softmax"')
    low, high = (float(end) for end in out.aminmax())
    in_range = unit != "as is" or (low >= -_ROUNDING and high <= 1 + _ROUNDING)
    rule = 'widgets: unit="as is" is for a model that returns probabilities'
    require(in_range, rule, f"outputs from {low:.3g} to {high:.3g}", 'unit="softmax"')
    return unit


def read_probabilities(out: Logits, unit: Unit) -> Float[Tensor, "B classes"]:
    """Probability of each class, as metrics read it."""
    return to_probabilities(out, stated=unit == "as is", exclusive=unit == "softmax")
