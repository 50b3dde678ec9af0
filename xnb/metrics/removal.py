"""Remove what an explanation calls important, step by step, and watch the score. Unit: score, or probability."""

import torch

from xnb.access.units import Units
from xnb.metrics.imputers import Impute
from xnb.metrics.output_units import Link, Unit, convert_to_margin
from xnb.metrics.registry import metric
from xnb.metrics.removal_curves import area_under_curve, measure_curve, removal_curve
from xnb.metrics.variation import keep_where_moved, suggest_logit
from xnb.types import Attribution, Batch, Model, Scores, Target

_PETSIUK = "Petsiuk, Das & Saenko 2018, arXiv:1806.07421"


@metric(category="faithfulness", better="lower", paper=_PETSIUK)
def deletion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    unit: Unit = "probability",
    steps: int = 16,
    impute: Impute = "zero",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are removed. Unit: probability, lower is better.

    Black pixels are no natural absence: a map that breaks the picture quickly scores well too. `insertion` is not the
    other view of the same curve, as it puts something else in place.

    Args:
        unit: of the probability: "softmax", "sigmoid" (labels that do not exclude each other), or "as is" where the
            model states probabilities; "probability" is softmax, or as is where that is seen.
        steps: how many times something is removed.
        impute: what stands where pixels are removed: zero, mean, blur, noisy_linear, or a function.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model, x, target, attribution, unit=unit, steps=steps, impute=impute, units=units, seed=seed, chunk=chunk
    )
    return keep_where_moved(area_under_curve(curve), curve, suggest_logit(unit))


@metric(category="faithfulness", better="higher", paper=_PETSIUK)
def insertion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    unit: Unit = "probability",
    steps: int = 16,
    impute: Impute = "blur",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean probability while the most important pixels are put into a blurred picture. Unit: probability.

    It is removal of the least important first, read from the other end, on blur.

    Args:
        unit: of the probability: "softmax", "sigmoid" (labels that do not exclude each other), or "as is" where the
            model states probabilities; "probability" is softmax, or as is where that is seen.
        steps: how many times something is put in.
        impute: what stands where pixels are missing.
        units: as in `removal_curve`.
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
        unit=unit,
        steps=steps,
        impute=impute,
        units=units,
        seed=seed,
        chunk=chunk,
    )
    return keep_where_moved(area_under_curve(curve), curve, suggest_logit(unit))


@metric(category="faithfulness", better="higher", paper="Samek et al. 2017, arXiv:1509.06321")
def morf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Mean drop in score while the most relevant pixels are removed first (AOPC). Unit: score.

    .. math:: \frac{1}{T}\int_0^T f(x) - f(x_{\setminus \pi_1 \ldots \pi_t})\, dt

    Which of two maps is better may turn with the imputer; `srg` turns less (arXiv:2401.06654).

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model, x, target, attribution, steps=steps, impute=impute, units=units, seed=seed, chunk=chunk
    )
    return keep_where_moved(curve[0] - area_under_curve(curve), curve)


@metric(category="faithfulness", better="lower", paper="Samek et al. 2017, arXiv:1509.06321")
def lerf(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Mean drop in score while the least relevant pixels are removed first. Unit: score, lower is better.

    Negative where removing what speaks against the class raises the score.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    curve = removal_curve(
        model, x, target, attribution, first="least", steps=steps, impute=impute, units=units, seed=seed, chunk=chunk
    )
    return keep_where_moved(curve[0] - area_under_curve(curve), curve)


@metric(category="faithfulness", better="higher", paper="Bluecher, Vielhaben & Strodthoff 2024, arXiv:2401.06654")
def srg(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    steps: int = 16,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Symmetric gap: area between removing the least and the most relevant first. Unit: score.

    A random order has 0 in expectation whatever the imputer, and the rankings of methods turn least with it, so
    this is the summary to begin with.

    Args:
        steps: how many times something is removed.
        impute: what stands where pixels are removed.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    most_first = removal_curve(
        model, x, target, attribution, first="most", steps=steps, impute=impute, units=units, seed=seed, chunk=chunk
    )
    least_first = removal_curve(
        model, x, target, attribution, first="least", steps=steps, impute=impute, units=units, seed=seed, chunk=chunk
    )
    gap = area_under_curve(least_first) - area_under_curve(most_first)
    return keep_where_moved(gap, torch.cat([most_first, least_first]))


@metric(category="faithfulness", better="lower", paper="Rong et al. 2022, arXiv:2202.00449")
def road(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    unit: Link = "probability",
    steps: int = 10,
    impute: Impute = "noisy_linear",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """Share of the steps at which the class is still predicted, the most important pixels removed first.

    Removed pixels are interpolated, so that the mask's shape cannot be read. The mean over inputs is the area under
    the accuracy curve of the paper, for accuracy against `target`.

    Args:
        unit: what counts as predicted: by "softmax" the largest output; by "sigmoid" a label with a positive logit; by
            "as is" the largest of stated probabilities or, if they do not sum to 1, more than one half. "probability"
            is softmax, or as is where that is seen. One logit speaks for class 1 where it is positive.
        steps: how many times something is removed; nothing and everything are not counted.
        impute: what stands where pixels are removed.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `removal_curve`.
    """
    margin = convert_to_margin(unit, model, x, target)
    name = f"margin of {unit}"
    margins = measure_curve(model, margin, name, x, target, attribution, "most", steps, impute, units, seed, chunk)
    still_predicted = (margins[1:-1] > 0).to(x)
    return keep_where_moved(still_predicted.mean(0), margins)
