"""Where nothing moves the model's output, no map can be told from another: NaN for an input, refused for all."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from xnb.check import is_finite, require
from xnb.types import Scores

_WITHOUT_REMOVAL = "xnb.attribute(model, x, target, 'feature_ablation')  # shows what moves the score"
_SATURATED = 1e-6  # how near to 0 or 1 a probability no longer shows how its logit moves
_ROUNDING = 2  # steps of the dtype that an output may move by rounding alone


def require_finite_outputs(outputs: Tensor) -> None:
    """Refuse outputs with NaN or infinity: ranks and comparisons would read them as numbers."""
    rule = "metrics: the model's output must be finite, also where parts are removed"
    require(is_finite(outputs), rule, "NaN or infinity", "impute='mean'  # or what else the model is used to")


def keep_where_moved(values: Scores, outputs: Float[Tensor, "N B"], hint: str = "") -> Scores:
    """Return `values`, NaN for inputs whose output is the same whatever is removed; refuse if it is for all.

    Args:
        values: one number an input.
        outputs: of the model, for each input with N different parts removed.
        hint: the line that helps where the outputs are saturated probabilities.

    Raises:
        ValueError: no input's output moves by more than rounding.
    """
    moved = find_moved(outputs)
    # where it is not saturated, a probability that stays has a logit that stays
    hint = hint if hint and _is_saturated(outputs) else _WITHOUT_REMOVAL
    rule = "metrics: the model's output is the same whatever is removed, so every map scores alike"
    require(bool(moved.any()) or not len(values), rule, f"a range of 0 for {len(values)} inputs", hint)
    return torch.where(moved, values, torch.nan)


def _is_saturated(probabilities: Tensor) -> bool:
    """Whether all are nearly 0 or nearly 1."""
    return bool((torch.minimum(probabilities, 1 - probabilities) < _SATURATED).all())


def find_moved(outputs: Float[Tensor, "N B"]) -> Tensor:
    """Whether each input's output moves by more than rounding."""
    highest, lowest = outputs.amax(0), outputs.amin(0)
    size = torch.maximum(highest.abs(), lowest.abs())
    return highest - lowest > _ROUNDING * torch.finfo(outputs.dtype).eps * size


def merge_rounding(values: Float[Tensor, "N B"], outputs: Float[Tensor, "M B"]) -> Float[Tensor, "N B"]:
    """Return the values, those of a column that differ by the rounding of the outputs alone made equal.

    Parts of equal effect, or of none, would be ranked by rounding otherwise, which differs from batch to batch.
    """
    widths = _ROUNDING * torch.finfo(outputs.dtype).eps * outputs.abs().amax(0)
    ordered = torch.where(values.abs() <= widths, 0, values).sort(dim=0)
    columns = ordered.values.T.contiguous().double().cpu().numpy()
    for column, width in zip(columns, widths.tolist(), strict=True):
        _merge_neighbours(column, width)  # in place: `columns` changes
    merged = torch.from_numpy(columns).T.to(values)
    return torch.empty_like(values).scatter_(0, ordered.indices, merged)


def _merge_neighbours(ordered: NDArray, width: float) -> None:
    """Give numbers in ascending order the least one within `width` below them, in place."""
    end = 0
    for start in np.flatnonzero(np.diff(ordered) <= width):
        if start >= end:  # what lies before `end` is merged already
            end = np.searchsorted(ordered, ordered[start] + width, side="right")
            ordered[start:end] = ordered[start]


def suggest_logit(unit: str) -> str:
    """The line for a probability that does not move: its logit may, as it does not saturate."""
    return "" if unit in ("score", "as is") else "unit='score'"
