"""Scores while what an explanation calls important, or unimportant, is removed step by step."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.memo import answer_once
from xnb.access.score import changed_scores
from xnb.access.targets import read_target
from xnb.access.units import Units
from xnb.check import require
from xnb.metrics.imputers import Impute, make_fill
from xnb.metrics.map_values import broadcast_units, rank_units, unit_values
from xnb.metrics.output_units import Unit, convert_output
from xnb.metrics.units import find_axes
from xnb.metrics.variation import require_finite_outputs
from xnb.types import Attribution, Batch, Model, Scores, Target, TargetLike

First = Literal["most", "least"]


def removal_curve(
    model: Model,
    x: Batch,
    target: TargetLike,
    attribution: Attribution,
    *,
    first: First = "most",
    unit: Unit = "score",
    steps: int = 16,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, "T B"]:
    """Score after removing 0, 1/steps, ... all of the pixels, those called most or least important first.

    An input of fewer units than `steps` loses one unit a step. Both ends are the same for every attribution.

    Args:
        first: what is removed first, the most or the least important.
        unit: of the score: "score", the logit itself; its probability by "softmax" or "sigmoid", or "probability",
            which is whichever of them the model shows; "as is", where the output states probabilities; its "margin"
            over the best other class. See `xnb.metrics.output_units.convert_output`.
        steps: how many times something is removed.
        impute: what stands where pixels are removed: zero, mean, blur, noisy_linear, a number, a tensor that
            broadcasts against `x` (also with a row an input), or a function (inputs, removed) -> inputs.
        units: axes of `x` that number what is removed one by one, where it is not the pixels of a picture, the steps
            of a signal of one channel or the features of a table: `(2,)` of signals (B, C, T), `(1,)` of tokens.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `steps < 2`, an unknown order, unit or imputer, units that cannot be known, an attribution that is
            not that of `x`, or outputs that are not finite.
    """
    target = read_target(target, x)
    converted = convert_output(unit, model, x, target)
    return measure_curve(model, converted, unit, x, target, attribution, first, steps, impute, units, seed, chunk)


def measure_curve(
    model: Model,
    converted: Model,
    unit: str,
    x: Batch,
    target: Target,
    attribution: Attribution,
    first: First,
    steps: int,
    impute: Impute,
    units: Units,
    seed: int,
    chunk: int | None,
) -> Float[Tensor, "T B"]:
    """Run `removal_curve` of `converted`, which is the model in that unit."""
    require(first in ("most", "least"), "curve: first must be 'most' or 'least'", first, "first='most'")
    require(steps >= 2, "curve: steps must be at least 2, as all maps share both ends", steps, "steps=16")
    axes = find_axes(units, x, attribution, model)
    values = unit_values(attribution, x, axes)
    fill = make_fill(impute, x, axes)
    ranks = rank_units(values if first == "most" else -values, seed)
    places = values.shape[1]
    steps_taken = min(steps, places)
    counts = torch.linspace(0, places, steps_taken + 1, dtype=torch.float32).round().to(x.device)

    def scores_without(removed_counts: Tensor) -> Float[Tensor, "t B"]:
        def remove_first(draws: slice, rows: slice) -> Tensor:
            removed = ranks[rows] < removed_counts[draws, None, None]
            return fill(rows, broadcast_units(removed.to(x), x, axes))

        scores = changed_scores(converted, x, target, remove_first, len(removed_counts), chunk=chunk)
        require_finite_outputs(scores)
        return scores

    # Nothing and everything removed is the same for all maps: the two ends are shared, what lies between is not.
    request: tuple = ("ends", model, x, target, unit, impute, axes)
    ends = answer_once(request, lambda: scores_without(counts[[0, -1]]))
    request = ("curve", model, x, target, attribution, first, unit, steps, impute, axes, seed)
    between = answer_once(request, lambda: scores_without(counts[1:-1]))
    return torch.cat([ends[:1], between, ends[1:]])


def area_under_curve(scores: Float[Tensor, "T B"]) -> Scores:
    """Area under a curve over the share that is removed, which is its mean height; by trapezoids."""
    area = torch.trapezoid(scores.double(), dim=0) / (len(scores) - 1)
    return area.to(scores)
