"""Remove sets of parts that were drawn without looking at the explanation, and ask whether it foresees the drops.

The sets depend on the seed alone: within `xnb.access.memo.remember_answers()` the model sees them once for all methods.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.memo import answer_once
from xnb.access.score import changed_scores, score
from xnb.check import require
from xnb.metrics.imputers import Imputer, make_fill
from xnb.metrics.map_values import (
    broadcast_units,
    draw_part_sets,
    part_numbers,
    pearson_correlation,
    rank_correlation,
    sum_over_parts,
    unit_values,
)
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

_SIDE = 8  # squares along a picture: 64 parts, so that a set of them is hardly ever a single object


def score_drops(
    model: Model,
    x: Batch,
    target: Target,
    removed: Bool[Tensor, "N M"],
    part_of_unit: Int[Tensor, " D"],
    impute: str | Imputer,
    chunk: int | None,
) -> Float[Tensor, "N B"]:
    """How far the score falls when the parts of each set are removed, in double precision."""
    fill = make_fill(impute, x)
    removed_parts = removed.to(x)

    def remove_parts(draws: slice, rows: slice) -> Tensor:
        removed_units = removed_parts[draws][:, None, part_of_unit]
        return fill(rows, broadcast_units(removed_units, x))

    before = score(model, x, target, chunk=chunk).double()
    after = changed_scores(model, x, target, remove_parts, len(removed), chunk=chunk)
    return before - after.double()


@metric(category="faithfulness", better="higher", paper="Hesse, Schaub-Meyer & Roth 2024, arXiv:2407.11910")
def single_deletion(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    side: int = 4,
    impute: str | Imputer = "zero",
    chunk: int | None = None,
) -> Scores:
    r"""Spearman's correlation of each part's attribution with the drop in score when it alone is removed.

    .. math:: \rho_j \bigl( \textstyle\sum_{p \in j} a_p,\; f(x) - f(x_{\setminus j}) \bigr)

    Unit: none, in [-1, 1]; NaN where either side is constant. Asked of `fine_tune(model, ...)` it is IDSDS: removal
    is then no surprise to the model. Occlusion of the same squares has 1 by construction, an oracle and no contestant.
    With 16 squares one picture's value scatters by a quarter even at random: average over many.

    Args:
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        impute: what stands where a part is removed: zero, mean, blur, noisy_linear, or a function.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `xnb.access.score.score`, or an attribution that is not that of `x`.
    """
    part_of_unit = part_numbers(x, side)
    attributions = sum_over_parts(unit_values(attribution, x), part_of_unit)
    each_part = torch.eye(attributions.shape[1], dtype=torch.bool, device=x.device)

    def measure_drops() -> Float[Tensor, "M B"]:
        return score_drops(model, x, target, each_part, part_of_unit, impute, chunk)

    drops = answer_once(("single_deletion", model, x, target, side, impute), measure_drops)
    return rank_correlation(attributions.T, drops).to(x)


@metric(category="faithfulness", better="higher", paper="Bhatt, Weller & Moura 2020, arXiv:2005.00631")
def faithfulness_correlation(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    size: int | None = None,
    samples: int = 128,
    side: int = _SIDE,
    impute: str | Imputer = "mean",
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
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        impute: what stands where parts are removed.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `size` is not in [1, number of parts], or as `single_deletion`.
    """
    part_of_unit = part_numbers(x, side)
    attributions = sum_over_parts(unit_values(attribution, x), part_of_unit)
    parts = attributions.shape[1]
    size = max(1, parts // 8) if size is None else size
    require(1 <= size <= parts, f"faithfulness_correlation: size must lie in [1, {parts}], the parts", size, "size=8")
    removed = draw_part_sets(parts, torch.full((samples,), size), seed).to(x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, part_of_unit, impute, chunk)

    # The sets follow from these; the attribution is no part of it, so that all methods share the passes.
    request = ("faithfulness_correlation", model, x, target, size, samples, side, impute, seed)
    drops = answer_once(request, measure_drops)
    return pearson_correlation(removed.double() @ attributions.T, drops).to(x)


@metric(category="faithfulness", better="higher", paper="Ancona et al. 2018, arXiv:1711.06104")
def sensitivity_n(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    sizes: tuple[int, ...] | None = None,
    samples: int = 32,
    side: int = _SIDE,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """`faithfulness_correlation` at several sizes of set, from one part to nearly all, and the mean of them.

    Unit: none, in [-1, 1]. Small sets ask for single parts, large ones for what is enough to keep the class: look at
    one size with `sizes=(n,)`. A size at which nothing varies is left out; NaN where none is left.

    Args:
        sizes: parts removed together; six from 1 to all but one, evenly spaced in logarithm, if omitted.
        samples: sets of each size.
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        impute: what stands where parts are removed.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: a size is not in [1, number of parts], or as `single_deletion`.
    """
    part_of_unit = part_numbers(x, side)
    attributions = sum_over_parts(unit_values(attribution, x), part_of_unit)
    parts = attributions.shape[1]
    sizes = logarithmic_sizes(parts) if sizes is None else sizes
    fits = len(sizes) > 0 and min(sizes) >= 1 and max(sizes) <= parts
    require(fits, f"sensitivity_n: sizes must lie in [1, {parts}], the parts", sizes, "sizes=(1, 8)")
    size_of_set = torch.tensor(sizes).repeat_interleave(samples)
    removed = draw_part_sets(parts, size_of_set, seed).to(x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, part_of_unit, impute, chunk)

    request = ("sensitivity_n", model, x, target, sizes, samples, side, impute, seed)
    drops = answer_once(request, measure_drops)
    forecasts = removed.double() @ attributions.T
    # Larger sets drop more: over sizes together a map would be right by counting parts, so each size is by itself.
    pairs = zip(forecasts.split(samples), drops.split(samples), strict=True)
    correlations = [pearson_correlation(*pair) for pair in pairs]
    return torch.stack(correlations).nanmean(0).to(x)


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
    impute: str | Imputer = "mean",
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
        samples: squares; of a table sets of features, of a bag sets of instances.
        normalise: judge each map at its best scale.
        impute: what stands where a square is removed.
        seed: draws the squares, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `single_deletion`.
    """
    values = unit_values(attribution, x).double()
    removed = draw_squares(x, samples, seed)
    each_unit = torch.arange(values.shape[1], device=x.device)

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, removed, each_unit, impute, chunk)

    drops = answer_once(("infidelity", model, x, target, samples, impute, seed), measure_drops)
    forecasts = removed.double() @ values.T
    if normalise:
        # The scale of least squares; one below zero would forgive a map of the wrong sign.
        power = forecasts.square().sum(0)
        scale = (forecasts * drops).sum(0) / torch.where(power > 0, power, 1)
        forecasts = forecasts * scale.clamp(min=0)
    return (forecasts - drops).square().mean(0).to(x)


def draw_squares(x: Batch, samples: int, seed: int) -> Bool[Tensor, "N D"]:
    """Draw squares of every size up to half of a picture's side, or random sets of a table's or bag's units."""
    rng = make_generator("squares", seed)
    if x.ndim != 4:
        units = x.shape[1]
        sizes = torch.randint(1, units + 1, (samples,), generator=rng)
        return draw_part_sets(units, sizes, seed).to(x.device)
    height, width = x.shape[2:]
    largest = max(1, min(height, width) // 2)
    size = torch.randint(1, largest + 1, (samples, 1), generator=rng)
    # No square is cut at the border: it would be smaller than the size that was drawn.
    rows = _place_intervals(height, size, torch.rand(samples, 1, generator=rng))
    columns = _place_intervals(width, size, torch.rand(samples, 1, generator=rng))
    squares = rows[:, :, None] & columns[:, None, :]
    return squares.flatten(1).to(x.device)


def _place_intervals(length: int, size: Int[Tensor, "N 1"], at: Float[Tensor, "N 1"]) -> Bool[Tensor, "N L"]:
    """Masks of intervals of that size, at the share `at` of the positions at which they fit."""
    start = (at * (length - size + 1)).long()
    position = torch.arange(length)
    return (start <= position) & (position < start + size)
