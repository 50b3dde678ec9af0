"""Does a group of pixels with twice the salience matter more?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.access.ledger import remembered
from xnb.access.score import changed_scores
from xnb.check import require
from xnb.metrics.imputers import Imputer, filling
from xnb.metrics.map_values import ranks, spread, values
from xnb.metrics.output_units import Unit, reading
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

ROUNDING = 1e-9  # differences below this share of the largest number are rounding, and count as ties


@metric(category="faithfulness", better="higher", paper="Wu et al. 2024, arXiv:2404.01415")
def saco(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    groups: int = 10,
    unit: Unit = "probability",
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Whether salience orders what matters: agreement over pairs of groups, each weighted by its gap in salience.

    .. math:: \frac{\sum_{i<j} (s_i - s_j)\, \mathrm{sign}(D_i - D_j)}{\sum_{i<j} |s_i - s_j|}

    Pixels are sorted and cut into equal groups; :math:`s` is a group's mean attribution, :math:`D` the drop when it
    alone is removed. Unit: none, in [-1, 1]. Groups that matter equally add nothing, so that a model which ignores
    them all has 0 (the authors' code counts them as agreement and gives it 1). NaN for a constant map. It reads values,
    not ranks: the square of a map, which says the same order, has another number.

    Args:
        groups: how many; as many as there are units, if those are fewer.
        unit: of the drop: probability, score or margin.
        impute: what stands where a group is removed.
        seed: order of pixels with the same value.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `groups < 2`, or as `curve`.
    """
    require(groups >= 2, "saco: there must be at least 2 groups", groups, "groups=10")
    worth, read, fill = values(attribution, x), reading(unit, model, x, target), filling(impute, x)
    count = min(groups, worth.shape[1])
    member = ranks(worth, seed) * count // worth.shape[1]

    def change(some: slice, part: slice) -> Tensor:
        numbers = torch.arange(count, device=x.device)[some, None, None]
        return fill(part, spread((member[part] == numbers).to(x), x))

    asked = ("saco", model, x, target, attribution, count, unit, impute, seed)
    left = remembered(asked, lambda: changed_scores(read, x, target, change, count, chunk=chunk))
    return concordance(means(worth, member, count), -left.double()).to(x)


def means(worth: Float[Tensor, "B D"], member: Int[Tensor, "B D"], count: int) -> Float[Tensor, "N B"]:
    """Mean attribution of each group: groups may differ by one pixel, which must not count as salience."""
    total = worth.new_zeros(len(worth), count, dtype=torch.double)
    size = torch.zeros_like(total).scatter_add_(1, member, torch.ones_like(worth, dtype=torch.double))
    return (total.scatter_add_(1, member, worth.double()) / size).T


def concordance(salience: Float[Tensor, "N B"], drop: Float[Tensor, "N B"]) -> Scores:
    """Share of the differences in salience that go with a difference in drop of the same sign, less the others."""
    first, second = torch.triu_indices(len(salience), len(salience), 1)
    more, further = (clear(a[first] - a[second], a) for a in (salience, drop))
    return (more * further.sign()).sum(0) / more.abs().sum(0)


def clear(difference: Float[Tensor, "P B"], numbers: Float[Tensor, "N B"]) -> Float[Tensor, "P B"]:
    """The differences, zero where they are rounding."""
    return difference * (difference.abs() > ROUNDING * numbers.abs().amax(0))
