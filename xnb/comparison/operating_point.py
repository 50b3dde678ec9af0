"""A threshold on the scores of two classes: what it promises of later inputs, and what is gained by using it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

_ROUNDING = 1e-9  # of a product such as 0.03 * 100


class Rate(NamedTuple):
    """How often something holds, and Wilson's interval."""

    rate: float
    low: float
    high: float


def estimate_rate(
    hits: ArrayLike,
    *,
    level: float = 0.95,
    statements: int = 1,
) -> Rate:
    """Return how often something holds among independent inputs, with Wilson's interval.

    It stays within [0, 1] and covers well where hits or misses are few. Intervals of two rates on the same inputs may
    overlap though the rates differ: `compare_pairs` compares those.

    Args:
        hits: of each input whether it holds.
        level: probability that the interval is to cover.
        statements: how many such intervals are to cover together (Bonferroni).

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953
    """
    held = np.asarray(hits, dtype=bool)
    each = 1 - (1 - level) / statements
    test = stats.binomtest(int(held.sum()), len(held))
    interval = test.proportion_ci(each, method="wilson")
    return Rate(float(held.mean()), float(interval.low), float(interval.high))


class PairTest(NamedTuple):
    """How many inputs only one of two models has right, and how often chance alone is as uneven."""

    first_only: int
    second_only: int
    p_value: float


def compare_pairs(first: ArrayLike, second: ArrayLike) -> PairTest:
    """Return McNemar's exact test of two models on the same inputs: only those that one alone has right can tell.

    Args:
        first: of each input whether the first model is right.
        second: the same of the second.

    Source: McNemar 1947, doi:10.1007/BF02295996
    """
    a = np.asarray(first, dtype=bool)
    b = np.asarray(second, dtype=bool)
    first_only = int((a & ~b).sum())
    second_only = int((b & ~a).sum())
    together = first_only + second_only
    p_value = float(stats.binomtest(first_only, together).pvalue) if together else 1.0
    return PairTest(first_only, second_only, p_value)


class Threshold(NamedTuple):
    """The lowest score that is called positive, and which of the positive scores it is, counted from the lowest."""

    value: float
    rank: int
    positives: int


def choose_threshold(
    scores: ArrayLike,
    positive: ArrayLike,
    sensitivity: float,
) -> Threshold:
    """Return the largest threshold at which this share of the positive scores, or more, is found.

    That share is of *these* inputs. `sensitivity_law` says what it is worth on others.

    Args:
        scores: one an input, larger where the positive class is likelier.
        positive: of each input whether it belongs to the positive class.
        sensitivity: share that must be found, in (0, 1].
    """
    is_positive = np.asarray(positive, dtype=bool)
    own = np.sort(np.asarray(scores, dtype=float)[is_positive])
    may_be_missed = int((1 - sensitivity) * len(own) + _ROUNDING)
    return Threshold(float(own[may_be_missed]), may_be_missed + 1, len(own))


def sensitivity_law(positives: int, rank: int) -> Any:
    r"""Return the distribution of the sensitivity on later inputs, of SciPy, whatever the scores are.

    .. math:: \mathrm{Beta}(n - k + 1,\, k), \qquad \text{mean } \frac{n + 1 - k}{n + 1}

    where the threshold is the k-th lowest of n positive scores. It holds if later inputs come from where these came
    from and scores have no ties: a threshold is then as good as its rank. So the second lowest of 37 keeps 0.97 with
    probability 0.31. Of m later positive inputs the hits follow `scipy.stats.betabinom` with the same numbers.

    Args:
        positives: n, how many positive scores the threshold was chosen from.
        rank: k, 1 for the lowest.

    Source: Wilks 1941, doi:10.1214/aoms/1177731788; Vovk 2012, arXiv:1209.2673
    """
    return stats.beta(positives - rank + 1, rank)


def fit_temperature(
    log_odds: ArrayLike,
    positive: ArrayLike,
    *,
    doubt: bool = False,
) -> float:
    r"""Return the number T that log odds must be divided by for the smallest cross-entropy on these inputs.

    Where scores separate the classes, the smaller T the better: it ends at the limit, exp(-3). With `doubt` the
    targets leave room, :math:`\frac{n_+ + 1}{n_+ + 2}` and :math:`\frac{1}{n_- + 2}` in place of 1 and 0.

    Args:
        positive: of each input whether it belongs to the positive class.
        doubt: Platt's targets.

    Source: Guo et al. 2017, arXiv:1706.04599; Platt 1999
    """
    f = np.asarray(log_odds, dtype=float)
    sick = np.asarray(positive, dtype=bool)
    target = sick.astype(float)
    if doubt:
        # Platt's targets: a few cases do not show that a probability of 1 is right.
        high = 1 - 1 / (sick.sum() + 2)
        low = 1 / ((~sick).sum() + 2)
        target = np.where(sick, high, low)

    def loss(log_temperature: float) -> float:
        cooled = f * np.exp(-log_temperature)
        return float(log_losses(cooled, target).mean())

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return float(np.exp(best.x))


def log_losses(log_odds: ArrayLike, target: ArrayLike) -> Float[np.ndarray, "..."]:
    """Return the cross-entropy of each input in nats; `target` is its probability of the positive class, 0 or 1."""
    f = np.asarray(log_odds, dtype=float)
    y = np.asarray(target, dtype=float)
    return np.logaddexp(0, f) - y * f


def net_benefits(
    log_odds: ArrayLike,
    positive: ArrayLike,
    threshold: float,
) -> Float[np.ndarray, "..."]:
    r"""Return what each input gains by acting from the probability `threshold` on. Unit: true positives.

    .. math:: [p \ge t] \left([\text{positive}] - \frac{t}{1 - t} [\text{negative}]\right)

    The mean is the net benefit of a decision curve. Who acts at probability t holds one miss as bad as (1 - t) / t
    needless acts. Acting on all is `log_odds = inf`, on nobody `-inf`, which gains 0. Misleads if probabilities
    are not calibrated: then t is not what it says.

    Args:
        positive: of each input whether it belongs to the positive class; as `log_odds`, or for its last axis.
        threshold: t, in (0, 1).

    Source: Vickers & Elkin 2006, doi:10.1177/0272989X06295361
    """
    acts = special.expit(np.asarray(log_odds, dtype=float)) >= threshold
    gain = np.where(np.asarray(positive, dtype=bool), 1.0, -threshold / (1 - threshold))
    return acts * gain
