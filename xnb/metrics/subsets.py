"""Remove sets of parts that were drawn without looking at the explanation, and ask whether it knew the drops.

The sets depend on the seed alone: within `xnb.access.ledger.remembering()` the model sees them once for all methods.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.ledger import remembered
from xnb.access.score import changed_scores, score
from xnb.check import require
from xnb.metrics.imputers import Imputer, filling
from xnb.metrics.map_values import correlation, parts, rank_correlation, spread, subsets, summed, values
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

SIDE = 8  # squares along a picture: 64 parts, so that a subset of them is hardly ever a single object


def drops(
    model: Model,
    x: Batch,
    target: Target,
    removed: Bool[Tensor, "N M"],
    where: Int[Tensor, " D"],
    impute: str | Imputer,
    chunk: int | None,
) -> Float[Tensor, "N B"]:
    """How far the score falls when the parts of each set are removed, in double precision."""
    fill, gone = filling(impute, x), removed.to(x)

    def change(some: slice, part: slice) -> Tensor:
        return fill(part, spread(gone[some][:, None, where], x))

    before = score(model, x, target, chunk=chunk).double()
    return before - changed_scores(model, x, target, change, len(removed), chunk=chunk).double()


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

    Unit: none, in [-1, 1]; NaN where either side is constant. Asked of `fine_tuned(model, ...)` it is IDSDS: removal
    is then no surprise to the model. Occlusion of the same squares has 1 by construction, an oracle and no contestant.
    With 16 squares one picture's value scatters by a quarter even at random: average over many.

    Args:
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        impute: what stands where a part is removed: zero, mean, blur, noisy_linear, or a function.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: as `xnb.access.score.score`, or an attribution that is not that of `x`.
    """
    where = parts(x, side)
    worth = summed(values(attribution, x), where)
    each = torch.eye(worth.shape[1], dtype=torch.bool, device=x.device)
    asked = ("single_deletion", model, x, target, side, impute)
    fell = remembered(asked, lambda: drops(model, x, target, each, where, impute, chunk))
    return rank_correlation(worth.T, fell).to(x)


@metric(category="faithfulness", better="higher", paper="Bhatt, Weller & Moura 2020, arXiv:2005.00631")
def faithfulness_correlation(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    size: int | None = None,
    samples: int = 128,
    side: int = SIDE,
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
    where = parts(x, side)
    worth = summed(values(attribution, x), where)
    count = worth.shape[1]
    size = max(1, count // 8) if size is None else size
    require(1 <= size <= count, f"faithfulness_correlation: size must lie in [1, {count}], the parts", size, "size=8")
    chosen = subsets(count, torch.full((samples,), size), seed).to(x.device)
    asked = ("faithfulness_correlation", model, x, target, size, samples, side, impute, seed)
    fell = remembered(asked, lambda: drops(model, x, target, chosen, where, impute, chunk))
    return correlation(chosen.double() @ worth.T, fell).to(x)


@metric(category="faithfulness", better="higher", paper="Ancona et al. 2018, arXiv:1711.06104")
def sensitivity_n(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    sizes: tuple[int, ...] | None = None,
    samples: int = 32,
    side: int = SIDE,
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
    where = parts(x, side)
    worth = summed(values(attribution, x), where)
    count = worth.shape[1]
    sizes = spaced(count) if sizes is None else sizes
    inside = len(sizes) > 0 and min(sizes) >= 1 and max(sizes) <= count
    require(inside, f"sensitivity_n: sizes must lie in [1, {count}], the parts", sizes, "sizes=(1, 8)")
    chosen = subsets(count, torch.tensor(sizes).repeat_interleave(samples), seed).to(x.device)
    asked = ("sensitivity_n", model, x, target, sizes, samples, side, impute, seed)
    fell = remembered(asked, lambda: drops(model, x, target, chosen, where, impute, chunk))
    pairs = zip((chosen.double() @ worth.T).split(samples), fell.split(samples), strict=True)
    return torch.stack([correlation(*pair) for pair in pairs]).nanmean(0).to(x)


def spaced(count: int, most: int = 6) -> tuple[int, ...]:
    """Whole numbers from 1 to all but one, evenly spaced in logarithm."""
    last = max(1, count - 1)
    return tuple(sorted({round(last ** (i / (most - 1))) for i in range(most)}))


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
    unit; without, :math:`\beta = 1`, most of the number is that unit. A map of slopes has to be multiplied by what is
    taken away, `x` or `x - x.mean(...)`, first. A zero map, and one that points the wrong way, has the mean squared
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
    worth = values(attribution, x).double()
    chosen = squares(x, samples, seed)
    where = torch.arange(worth.shape[1], device=x.device)
    asked = ("infidelity", model, x, target, samples, impute, seed)
    fell = remembered(asked, lambda: drops(model, x, target, chosen, where, impute, chunk))
    said = chosen.double() @ worth.T
    if normalise:
        power = said.square().sum(0)
        said = said * ((said * fell).sum(0) / torch.where(power > 0, power, 1)).clamp(min=0)
    return (said - fell).square().mean(0).to(x)


def squares(x: Batch, samples: int, seed: int) -> Bool[Tensor, "N D"]:
    """Random squares of every size up to half of a picture's side, or random sets of a table's or bag's units."""
    rng = torch.Generator().manual_seed(seed)
    if x.ndim != 4:
        sizes = torch.randint(1, x.shape[1] + 1, (samples,), generator=rng)
        return subsets(x.shape[1], sizes, seed).to(x.device)
    size = torch.randint(1, max(1, min(x.shape[2:]) // 2) + 1, (samples, 1), generator=rng)
    rows, columns = (inside(length, size, torch.rand(samples, 1, generator=rng)) for length in x.shape[2:])
    return (rows[:, :, None] & columns[:, None, :]).flatten(1).to(x.device)


def inside(length: int, size: Int[Tensor, "N 1"], at: Float[Tensor, "N 1"]) -> Bool[Tensor, "N L"]:
    """Intervals of that size, placed at the share `at` of where they fit."""
    start = (at * (length - size + 1)).long()
    place = torch.arange(length)
    return (start <= place) & (place < start + size)
