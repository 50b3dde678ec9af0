"""Remove sets of parts that were drawn without looking at the explanation, and ask whether it foresees the drops.

The sets depend on the seed alone: within `xnb.access.memo.remember_answers()` the model sees them once for all methods.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.memo import answer_once
from xnb.access.score import changed_scores, score
from xnb.access.units import Axes, Units
from xnb.check import require
from xnb.metrics.imputers import Impute, make_fill
from xnb.metrics.map_values import (
    MANY_PARTS,
    broadcast_units,
    draw_part_sets,
    draw_squares,
    part_numbers,
    pearson_correlation,
    spearman_correlation,
    sum_over_parts,
    unit_values,
)
from xnb.metrics.registry import metric
from xnb.metrics.units import find_axes
from xnb.metrics.variation import find_moved, keep_where_moved, merge_rounding, require_finite_outputs
from xnb.types import Attribution, Batch, Model, Scores, Target


def score_drops(
    model: Model,
    x: Batch,
    target: Target,
    removed: Bool[Tensor, "N M"],
    part_of_unit: Int[Tensor, " D"],
    impute: Impute,
    axes: Axes,
    chunk: int | None,
) -> Float[Tensor, "N B"]:
    """How far the score falls when the parts of each set are removed, in double precision; 0 where nothing moves it.

    Drops that differ by rounding alone are equal.

    Raises:
        ValueError: an output that is not finite.
    """
    fill = make_fill(impute, x, axes)

    def remove_parts(draws: slice, rows: slice) -> Tensor:
        removed_units = removed[draws].to(x)[:, None, part_of_unit]
        return fill(rows, broadcast_units(removed_units, x, axes))

    before = score(model, x, target, chunk=chunk)
    after = changed_scores(model, x, target, remove_parts, len(removed), chunk=chunk)
    scores = torch.cat([before[None], after])
    require_finite_outputs(scores)
    drops = before.double() - after.double()
    # Rounding differs from draw to draw, and its ranks would look like an answer.
    return merge_rounding(torch.where(find_moved(scores), drops, 0), scores)


@metric(category="faithfulness", better="higher", paper="Hesse, Schaub-Meyer & Roth 2024, arXiv:2407.11910")
def single_deletion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    side: int | None = None,
    impute: Impute = "zero",
    units: Units = None,
    chunk: int | None = None,
) -> Scores:
    r"""Spearman's correlation of each part's attribution with the drop in score when it alone is removed.

    .. math:: \rho_j \bigl( \textstyle\sum_{p \in j} a_p,\; f(x) - f(x_{\setminus j}) \bigr)

    Unit: none, in [-1, 1]; NaN where either side is constant. Asked of `fine_tune(model, ...)` it is IDSDS: removal
    is then no surprise to the model. Occlusion of the same squares has 1 by construction, an oracle and no contestant.
    With 16 squares one picture's value scatters by a quarter even at random: average over many.

    Args:
        side: squares along a picture, pieces along each axis of other places; some 16 parts if omitted. Of a table
            each feature, of a bag or text each instance or token is a part.
        impute: what stands where a part is removed, as in `removal_curve`.
        units: as in `removal_curve`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `xnb.access.score.score`, or an attribution that is not that of `x`.
    """
    axes = find_axes(units, x, attribution, model)
    part_of_unit = part_numbers(x, axes, side)
    attributions = sum_over_parts(unit_values(attribution, x, axes), part_of_unit)
    require(attributions.shape[1] > 1, "single_deletion: one part alone, so every map scores alike", side, "side=4")
    each_part = torch.eye(attributions.shape[1], dtype=torch.bool, device=x.device)

    def measure_drops() -> Float[Tensor, "M B"]:
        return score_drops(model, x, target, each_part, part_of_unit, impute, axes, chunk)

    drops = answer_once(("single_deletion", model, x, target, side, impute, axes), measure_drops)
    return keep_where_moved(spearman_correlation(attributions.T, drops).to(x), drops)


@metric(category="faithfulness", better="higher", paper="Bhatt, Weller & Moura 2020, arXiv:2005.00631")
def faithfulness_correlation(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    size: int | None = None,
    samples: int = 128,
    side: int | None = None,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Pearson's correlation of the attribution of random sets of parts with the drop in score, `size` parts a set.

    .. math:: \mathrm{corr}_S \bigl( \textstyle\sum_{j \in S} a_j,\; f(x) - f(x_{\setminus S}) \bigr), \quad |S| = k

    Unit: none, in [-1, 1]; NaN where either side is constant. 1 on an additive model, where the sets' drops add up;
    what parts do together no map can say, and lowers it for all.

    Args:
        size: parts removed together, an eighth of them if omitted.
        samples: sets; with few, a good map and a fair one are told apart by luck.
        side: as in `single_deletion`; some 64 parts if omitted.
        impute: what stands where parts are removed.
        units: as in `removal_curve`.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `size` is not in [1, number of parts), or as `single_deletion`.
    """
    axes = find_axes(units, x, attribution, model)
    part_of_unit = part_numbers(x, axes, side, MANY_PARTS)
    attributions = sum_over_parts(unit_values(attribution, x, axes), part_of_unit)
    parts = attributions.shape[1]
    size = max(1, parts // 8) if size is None else size
    # All parts at once are the same set at every draw, and one draw correlates with nothing.
    rule = f"faithfulness_correlation: size must lie in [1, {parts}), less than all parts"
    require(1 <= size < parts, rule, size, "size=1" if parts > 1 else "side=8")
    require(samples >= 2, "faithfulness_correlation: samples must be at least 2", samples, "samples=128")
    removed = draw_part_sets(parts, torch.full((samples,), size), seed).to(x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, part_of_unit, impute, axes, chunk)

    # The sets follow from these; the attribution is no part of it, so that all methods share the passes.
    request = ("faithfulness_correlation", model, x, target, size, samples, side, impute, axes, seed)
    drops = answer_once(request, measure_drops)
    return keep_where_moved(pearson_correlation(removed.double() @ attributions.T, drops).to(x), drops)


@metric(category="faithfulness", better="higher", paper="Ancona et al. 2018, arXiv:1711.06104")
def sensitivity_n(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    sizes: tuple[int, ...] | None = None,
    samples: int = 32,
    side: int | None = None,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """`faithfulness_correlation` at several sizes of set, from one part to nearly all, and the mean of them.

    Unit: none, in [-1, 1]. Small sets ask for single parts, large ones for what is enough to keep the class: look at
    one size with `sizes=(n,)`. A size at which nothing varies is left out; NaN where none is left.

    Args:
        sizes: parts removed together; six from 1 to all but one, evenly spaced in logarithm, if omitted.
        samples: sets of each size.
        side: as in `single_deletion`; some 64 parts if omitted.
        impute: what stands where parts are removed.
        units: as in `removal_curve`.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: a size is not in [1, number of parts], or as `single_deletion`.
    """
    axes = find_axes(units, x, attribution, model)
    part_of_unit = part_numbers(x, axes, side, MANY_PARTS)
    attributions = sum_over_parts(unit_values(attribution, x, axes), part_of_unit)
    parts = attributions.shape[1]
    sizes = logarithmic_sizes(parts) if sizes is None else sizes
    # All parts at once are the same set at every draw: among other sizes that one is left out.
    fits = len(sizes) > 0 and 1 <= min(sizes) < parts and max(sizes) <= parts
    rule = f"sensitivity_n: sizes must lie in [1, {parts}], one of them less than all parts"
    require(fits, rule, sizes, "sizes=(1,)" if parts > 1 else "side=8")
    require(samples >= 2, "sensitivity_n: samples must be at least 2", samples, "samples=32")
    size_of_set = torch.tensor(sizes).repeat_interleave(samples)
    removed = draw_part_sets(parts, size_of_set, seed).to(x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, part_of_unit, impute, axes, chunk)

    request = ("sensitivity_n", model, x, target, sizes, samples, side, impute, axes, seed)
    drops = answer_once(request, measure_drops)
    forecasts = removed.double() @ attributions.T
    # Larger sets drop more: over sizes together a map would be right by counting parts, so each size is by itself.
    pairs = zip(forecasts.split(samples), drops.split(samples), strict=True)
    correlations = [pearson_correlation(*pair) for pair in pairs]
    return keep_where_moved(torch.stack(correlations).nanmean(0).to(x), drops)


def logarithmic_sizes(parts: int, most: int = 6) -> tuple[int, ...]:
    """Whole numbers from 1 to all parts but one, at most `most` of them, evenly spaced in logarithm."""
    largest = max(1, parts - 1)
    sizes = {round(largest ** (i / (most - 1))) for i in range(most)}
    return tuple(sorted(sizes))


@metric(category="faithfulness", better="lower", paper="Yeh et al. 2019, arXiv:1901.09392")
def infidelity(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    samples: int = 128,
    normalise: bool = True,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Mean squared error of the attribution as a forecast of the drop in score, over removed squares of any size.

    .. math:: \mathbb{E}_S \bigl( \beta \textstyle\sum_{p \in S} a_p - (f(x) - f(x_{\setminus S})) \bigr)^2

    Unit: score squared, 0 is best. With :math:`\beta \ge 0` the best scale for each input, a map is not judged by its
    unit; without, :math:`\beta = 1`, most of the number is that unit. A map of gradients has to be multiplied by what
    is taken away, `x` or `x - x.mean(...)`, first. A zero map, and one that points the wrong way, has the mean squared
    drop; normalised, none has more. A constant map says that larger squares matter more, which is often true enough to
    beat an honest map: look at it as a control.

    Args:
        samples: squares, or intervals of a signal, cubes of a volume; of a table sets of features, of a bag sets of
            instances.
        normalise: judge each map at its best scale.
        impute: what stands where a square is removed.
        units: as in `removal_curve`.
        seed: draws the squares, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `samples` is less than 1, or as `single_deletion`.
    """
    axes = find_axes(units, x, attribution, model)
    values = unit_values(attribution, x, axes).double()
    require(samples >= 1, "infidelity: samples must be at least 1", samples, "samples=128")
    removed = draw_squares(x, axes, samples, seed)
    each_unit = torch.arange(values.shape[1], device=x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, each_unit, impute, axes, chunk)

    drops = answer_once(("infidelity", model, x, target, samples, impute, axes, seed), measure_drops)
    forecasts = removed.double() @ values.T
    if normalise:
        # The scale of least squares; one below zero would forgive a map of the wrong sign.
        power = forecasts.square().sum(0)
        scale = (forecasts * drops).sum(0) / torch.where(power > 0, power, 1)
        forecasts = forecasts * scale.clamp(min=0)
    errors = (forecasts - drops).square().mean(0)
    untouched = torch.zeros_like(drops[:1])
    return keep_where_moved(errors.to(x), torch.cat([untouched, drops]))
