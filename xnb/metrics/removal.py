"""Remove what an explanation calls important, step by step, and watch the score. Unit: score, or probability."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.memo import answer_once
from xnb.access.score import changed_scores
from xnb.check import require
from xnb.metrics.imputers import Imputer, make_fill
from xnb.metrics.map_values import broadcast_units, rank_units, unit_values
from xnb.metrics.output_units import Unit, convert_output
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

_First = Literal["most", "least"]
_PETSIUK = "Petsiuk, Das & Saenko 2018, arXiv:1806.07421"


def removal_curve(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    first: _First = "most",
    unit: Unit = "score",
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, "T B"]:
    """Score after removing 0, 1/steps, ... all of the pixels, those called most or least important first.

    An input of fewer units than `steps` loses one unit a step. Both ends are the same for every attribution.

    Args:
        first: what is removed first, the most or the least important.
        unit: of the score: the logit itself, its probability, or its margin over the best other class.
        steps: how many times something is removed.
        impute: what stands where pixels are removed: zero, mean, blur, noisy_linear, or a function.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `steps < 1`, an unknown order, unit or imputer, or an attribution that is not that of `x`.
    """
    require(first in ("most", "least"), "curve: first must be 'most' or 'least'", first, "first='most'")
    require(steps >= 1, "curve: steps must be at least 1", steps, "steps=16")
    values = unit_values(attribution, x)
    units = values.shape[1]
    converted = convert_output(unit, model, x, target)
    fill = make_fill(impute, x)
    ranks = rank_units(values if first == "most" else -values, seed)
    steps_taken = min(steps, units)
    counts = torch.linspace(0, units, steps_taken + 1).round().to(x.device)

    def scores_without(removed_counts: Tensor) -> Float[Tensor, "t B"]:
        def remove_first(draws: slice, rows: slice) -> Tensor:
            removed = ranks[rows] < removed_counts[draws, None, None]
            return fill(rows, broadcast_units(removed.to(x), x))

        return changed_scores(converted, x, target, remove_first, len(removed_counts), chunk=chunk)

    # Nothing and everything removed is the same for all maps: the two ends are shared, what lies between is not.
    request: tuple = ("ends", model, x, target, unit, impute)
    ends = answer_once(request, lambda: scores_without(counts[[0, -1]]))
    request = ("curve", model, x, target, attribution, first, unit, steps, impute, seed)
    between = answer_once(request, lambda: scores_without(counts[1:-1]))
    return torch.cat([ends[:1], between, ends[1:]])


def area_under_curve(scores: Float[Tensor, "T B"]) -> Scores:
    """Area under a curve over the share that is removed, which is its mean height; by trapezoids."""
    area = torch.trapezoid(scores.double(), dim=0) / (len(scores) - 1)
    return area.to(scores)


@metric(category="faithfulness", better="lower", paper=_PETSIUK)
def deletion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "zero",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are removed. Unit: probability, lower is better.

    Black pixels are no natural absence: a map that breaks the picture quickly scores well too. `insertion` is not the
    other view of the same curve, as it puts something else in place.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed: zero, mean, blur, noisy_linear, or a function.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model, x, target, attribution, unit="probability", steps=steps, impute=impute, seed=seed, chunk=chunk
    )
    return area_under_curve(curve)


@metric(category="faithfulness", better="higher", paper=_PETSIUK)
def insertion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "blur",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are put into a blurred picture. Unit: probability.

    It is removal of the least important first, read from the other end, on blur.

    Args:
        steps: how many times something is put in.
        impute: what stands where pixels are missing.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model,
        x,
        target,
        attribution,
        first="least",
        unit="probability",
        steps=steps,
        impute=impute,
        seed=seed,
        chunk=chunk,
    )
    return area_under_curve(curve)


@metric(category="faithfulness", better="higher", paper="Samek et al. 2017, arXiv:1509.06321")
def morf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Mean drop in score while the most relevant pixels are removed first (AOPC). Unit: score.

    .. math:: \frac{1}{T}\int_0^T f(x) - f(x_{\setminus \pi_1 \ldots \pi_t})\, dt

    Which of two maps is better may turn with the imputer; `srg` turns less (arXiv:2401.06654).

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(model, x, target, attribution, steps=steps, impute=impute, seed=seed, chunk=chunk)
    return curve[0] - area_under_curve(curve)


@metric(category="faithfulness", better="lower", paper="Samek et al. 2017, arXiv:1509.06321")
def lerf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean drop in score while the least relevant pixels are removed first. Unit: score, lower is better.

    Negative where removing what speaks against the class raises the score.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model, x, target, attribution, first="least", steps=steps, impute=impute, seed=seed, chunk=chunk
    )
    return curve[0] - area_under_curve(curve)


@metric(category="faithfulness", better="higher", paper="Bluecher, Vielhaben & Strodthoff 2024, arXiv:2401.06654")
def srg(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Symmetric gap: area between removing the least and the most relevant first. Unit: score.

    A random order has 0 in expectation whatever the imputer, and the rankings of methods turn least with it, so
    this is the summary to begin with.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    most_first = removal_curve(
        model, x, target, attribution, first="most", steps=steps, impute=impute, seed=seed, chunk=chunk
    )
    least_first = removal_curve(
        model, x, target, attribution, first="least", steps=steps, impute=impute, seed=seed, chunk=chunk
    )
    return area_under_curve(least_first) - area_under_curve(most_first)


@metric(category="faithfulness", better="lower", paper="Rong et al. 2022, arXiv:2202.00449")
def road(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 10,
    impute: str | Imputer = "noisy_linear",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Share of the steps at which the class is still predicted, the most important pixels removed first.

    Removed pixels are interpolated, so that the mask's shape cannot be read. The mean over inputs is the area under
    the accuracy curve of the paper, for accuracy against `target`.

    Args:
        steps: how many times something is removed; nothing and everything are not counted.
        impute: what stands where pixels are removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    margins = removal_curve(
        model, x, target, attribution, unit="margin", steps=steps, impute=impute, seed=seed, chunk=chunk
    )
    return (margins[1:-1] > 0).to(x).mean(0)
