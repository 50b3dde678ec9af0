"""Does a group of pixels with twice the salience matter more?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.access.memo import answer_once
from xnb.access.score import changed_scores
from xnb.access.units import Units
from xnb.check import require
from xnb.metrics.imputers import Impute, make_fill
from xnb.metrics.map_values import broadcast_units, rank_units, unit_values
from xnb.metrics.output_units import Unit, convert_output
from xnb.metrics.registry import metric
from xnb.metrics.units import find_axes
from xnb.metrics.variation import keep_where_moved, require_finite_outputs, suggest_logit
from xnb.types import Attribution, Batch, Model, Scores, Target

_ROUNDING = 1e-9  # differences below this share of the largest number are rounding, and count as ties


@metric(category="faithfulness", better="higher", paper="Wu et al. 2024, arXiv:2404.01415")
def saco(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    groups: int = 10,
    unit: Unit = "probability",
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Whether salience orders what matters: agreement over pairs of groups, each weighted by its gap in salience.

    .. math:: \frac{\sum_{i<j} (s_i - s_j)\, \mathrm{sign}(D_i - D_j)}{\sum_{i<j} |s_i - s_j|}

    Pixels are sorted and cut into equal groups; :math:`s` is a group's mean attribution, :math:`D` the drop when it
    alone is removed. Unit: none, in [-1, 1]. Groups that matter equally add nothing (the authors' code counts them as
    agreement), and where all of them do, there is nothing to order: NaN, as for a constant map. It reads values, not
    ranks: the square of a map, which says the same order, has another number.

    Args:
        groups: how many; as many as there are units, if those are fewer.
        unit: of the drop, as in `removal_curve`: a probability, the score or the margin.
        impute: what stands where a group is removed.
        units: as in `removal_curve`.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `groups < 2`, or as `xnb.metrics.removal.removal_curve`.
    """
    require(groups >= 2, "saco: there must be at least 2 groups", groups, "groups=10")
    converted = convert_output(unit, model, x, target)
    axes = find_axes(units, x, attribution, model)
    values = unit_values(attribution, x, axes)
    fill = make_fill(impute, x, axes)
    places = values.shape[1]
    group_count = min(groups, places)
    # Equal groups in the order of the values; where the units do not divide evenly, sizes differ by one.
    group_of_unit = rank_units(values, seed) * group_count // places

    def remove_group(draws: slice, rows: slice) -> Tensor:
        group = torch.arange(group_count, device=x.device)[draws, None, None]
        removed = group_of_unit[rows] == group
        return fill(rows, broadcast_units(removed.to(x), x, axes))

    def measure_scores() -> Float[Tensor, "N B"]:
        return changed_scores(converted, x, target, remove_group, group_count, chunk=chunk)

    request = ("saco", model, x, target, attribution, group_count, unit, impute, axes, seed)
    scores = answer_once(request, measure_scores)
    require_finite_outputs(scores)
    salience = _group_means(values, group_of_unit, group_count)
    # The score before the removal is the same for all groups, so differences of drops are those of scores, negative.
    concordance = _salience_concordance(salience, -scores.double()).to(x)
    return keep_where_moved(concordance, scores, suggest_logit(unit))


def _group_means(values: Float[Tensor, "B D"], group_of_unit: Int[Tensor, "B D"], groups: int) -> Float[Tensor, "N B"]:
    """Mean attribution of each group: groups may differ by one pixel, which must not count as salience."""
    zeros = values.new_zeros(len(values), groups, dtype=torch.double)
    ones = torch.ones_like(values, dtype=torch.double)
    sizes = torch.zeros_like(zeros).scatter_add_(1, group_of_unit, ones)
    sums = zeros.scatter_add_(1, group_of_unit, values.double())
    return (sums / sizes).T


def _salience_concordance(salience: Float[Tensor, "N B"], drop: Float[Tensor, "N B"]) -> Scores:
    """Share of the differences in salience that go with a difference in drop of the same sign, less the others."""
    first, second = torch.triu_indices(len(salience), len(salience), 1)
    salience_gaps = _zero_rounding(salience[first] - salience[second], salience)
    drop_gaps = _zero_rounding(drop[first] - drop[second], drop)
    return (salience_gaps * drop_gaps.sign()).sum(0) / salience_gaps.abs().sum(0)


def _zero_rounding(differences: Float[Tensor, "P B"], numbers: Float[Tensor, "N B"]) -> Float[Tensor, "P B"]:
    """Return the differences of some numbers, zero where they are rounding."""
    return differences * (differences.abs() > _ROUNDING * numbers.abs().amax(0))
