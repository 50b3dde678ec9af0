"""How sure orders are: ranks of methods on other images, rank correlations of few items, agreement beside chance."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from xnb.check import require
from xnb.comparison.inference import write_interval
from xnb.comparison.statistics import Directions, image_columns, kendall_w, metric_signs, ranks, signed_means

_RESAMPLES = 2000
_PERMUTATIONS = 9999
_FIELLER = 1.06  # by which Fisher's variance of a correlation grows where ranks are correlated


class RankCorrelation(NamedTuple):
    """Spearman's correlation, its interval, and how often chance alone is as far from 0; formatted as `Estimate`."""

    correlation: float
    low: float
    high: float
    p_value: float

    def __format__(self, size: str) -> str:
        return write_interval(self.correlation, self.low, self.high, size) if size else str(self)


def estimate_rank_correlation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> RankCorrelation:
    r"""Return the rank correlation of two lists, and what so few items can say of it.

    .. math:: \tanh\left(\operatorname{artanh} r \pm z \sqrt{1.06 / (n - 3)}\right)

    Eight items with r = 0.69 have the interval [-0.05, 0.94]: not even the sign is known. A perfect order counts as
    half a swap of neighbours from perfect. The p-value permutes one list: all orders of up to 7 items, 9,999 drawn
    ones of more. It misleads where items are not independent, as
    methods of one family, or cells of one map, are not.

    Args:
        level: probability that the interval is to cover.
        seed: of the permutations.

    Raises:
        ValueError: fewer than four pairs, lists of two lengths, or one whose values are all equal.

    Source: Fieller, Hartley & Pearson 1957, doi:10.2307/2332878
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    fits = a.ndim == b.ndim == 1 and len(a) == len(b) > 3 and min(np.ptp(a), np.ptp(b)) > 0
    rule = "estimate_rank_correlation: two lists of one length are needed, of four items or more that are not all equal"
    hint = "xnb.comparison.estimate_rank_correlation([1, 2, 3, 4], [1, 3, 2, 4])"
    require(bool(fits), rule, f"{a.tolist()} and {b.tolist()}", hint)
    b_ranks = _unit_variance(stats.rankdata(b))

    def correlate(a_ranks: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
        return np.asarray((_unit_variance(a_ranks) * b_ranks).mean(axis))

    a_ranks = stats.rankdata(a)
    r = float(correlate(a_ranks))
    # Orders of two lists: permuting one of them is enough.
    chance = stats.permutation_test(
        (a_ranks,), correlate, permutation_type="pairings", n_resamples=_PERMUTATIONS, vectorized=True, rng=seed
    )
    low, high = fieller_interval(r, len(a), level)
    return RankCorrelation(r, low, high, float(chance.pvalue))


def fieller_interval(r: float, items: int, level: float) -> tuple[float, float]:
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(_FIELLER / (items - 3))
    # A perfect order would have an interval of no width. It counts as half a swap of neighbours from perfect.
    most = 1 - 6 / (items**3 - items)
    middle = np.arctanh(np.clip(r, -most, most))
    return min(r, float(np.tanh(middle - half))), max(r, float(np.tanh(middle + half)))


def _unit_variance(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    deviations = values - values.mean(-1, keepdims=True)
    return deviations / deviations.std(-1, keepdims=True)


class Concordance(NamedTuple):
    """Kendall's W, its interval on other images, and what chance gives; formatted as `Estimate`."""

    w: float
    low: float
    high: float
    chance: float  # the mean where every metric ranks by lot
    p_value: float  # how often lots agree as much

    def __format__(self, size: str) -> str:
        return write_interval(self.w, self.low, self.high, size) if size else str(self)


def estimate_concordance(
    table: pd.DataFrame,
    *,
    better: Directions | None = None,
    level: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Concordance:
    """Return Kendall's W of all metrics beside chance: four metrics that rank by lot have W = 0.25, not 0.

    The p-value shuffles the methods within each metric. The interval draws images with replacement (and trainings,
    where there are several); it sits somewhat low, as a draw that repeats images is noisier than the images are. It
    speaks of these methods and metrics alone. NaN where `concordance` is.

    Args:
        better: as in `ranks`.
        level: probability that the interval is to cover.
        resamples: draws of images, and of shuffles.
        seed: of the draws.

    Source: Kendall & Babington Smith 1939, doi:10.1214/aoms/1177732186
    """
    observed = ranks(table, better=better).to_numpy()
    w = float(kendall_w(observed))
    if np.isnan(w):
        return Concordance(*[w] * len(Concordance._fields))
    generator = np.random.default_rng(seed)
    shuffled = generator.permuted(np.broadcast_to(observed, (resamples, *observed.shape)), axis=1)
    by_lot = kendall_w(shuffled)
    # The order that was seen counts as one of the shuffles: no p-value is 0.
    as_large = (by_lot >= w * (1 - 1e-9)).sum()
    resampled = kendall_w(_resample_ranks(table, better, resamples, generator))
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Concordance(
        w,
        float(low),
        float(high),
        float(by_lot.mean()),
        float((1 + as_large) / (1 + resamples)),
    )


def estimate_ranks(
    table: pd.DataFrame,
    *,
    better: Directions | None = None,
    level: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return ranks with intervals: a row for each (method, metric), 1 is best, ties share their mean.

    Images are drawn with replacement, the same for every method; where there are several trainings they are drawn
    too. Two methods whose intervals overlap may change places on other images. Three trainings are few to draw from:
    the interval is then too short where trainings differ, and `estimate_mean` of their difference is not.

    Args:
        better: as in `ranks`.
        level: probability that the interval is to cover.
        resamples: draws.
        seed: of the draws.
    """
    observed = ranks(table, better=better)
    resampled = _resample_ranks(table, better, resamples, np.random.default_rng(seed))
    # A draw may hold none of the images on which a method has a value: it then has no rank.
    ends = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    columns = {"rank": observed.to_numpy().ravel(), "low": ends[0].ravel(), "high": ends[1].ravel()}
    index = pd.MultiIndex.from_product([observed.index, observed.columns])
    return pd.DataFrame(columns, index).reset_index()


def _resample_ranks(
    table: pd.DataFrame, better: Directions | None, resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws methods metrics"]:
    """Return the ranks in every draw of images and trainings, in the order of `ranks`."""
    signed = signed_means(table, better)
    rows = pd.MultiIndex.from_product([signed.index, signed.columns])
    trainings = table.groupby("model") if "model" in table else [(0, table)]
    values = np.stack([image_columns(part).reindex(rows).to_numpy() for _, part in trainings])
    means = _resample_means(values, resamples, generator).reshape(resamples, *signed.shape)
    signs = metric_signs(list(signed.columns), better).to_numpy()
    return stats.rankdata(-means * signs, axis=1, nan_policy="omit")


def _resample_means(
    values: Float[np.ndarray, "trainings rows images"], resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws rows"]:
    """Return the mean of each row over trainings and images that are drawn with replacement, each by itself."""
    trainings, _, images = values.shape
    # A draw with replacement is how often each was drawn.
    of_trainings = generator.multinomial(trainings, np.full(trainings, 1 / trainings), resamples)
    of_images = generator.multinomial(images, np.full(images, 1 / images), resamples)
    present = np.isfinite(values)
    totals = np.einsum("dt,di,tri->dr", of_trainings, of_images, np.where(present, values, 0), optimize=True)
    counts = np.einsum("dt,di,tri->dr", of_trainings, of_images, present.astype(float), optimize=True)
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
