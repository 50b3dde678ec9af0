"""How reliable a metric is: scores that stay where little was changed, and fall where much was (MetaQuantus)."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

_SIGNS = {"higher": 1, "lower": -1}
_MOST_EXACT = 50  # inputs, up to which the p-value is exact


class PerturbedScores(NamedTuple):
    """What a metric says of every method after perturbations of one strength.

    Attributes:
        values: a number for each draw of the perturbation, method and input.
        counts: the inputs that count in each draw: mild noise must leave their prediction, strong noise change it.
    """

    values: Float[np.ndarray, "draws methods inputs"]
    counts: Bool[np.ndarray, "draws inputs"]


class MetaConsistency(NamedTuple):
    """Four shares from 0 to 1, of which 1 is best, and their mean."""

    mc: float
    iac_nr: float  # scores stay under mild noise
    iac_ar: float  # scores move under strong noise
    iec_nr: float  # methods keep their ranks under mild noise
    iec_ar: float  # scores get worse under strong noise


def estimate_meta_consistency(
    scores: Float[np.ndarray, "methods inputs"],
    mild: PerturbedScores,
    strong: PerturbedScores,
    *,
    better: Literal["higher", "lower"],
) -> MetaConsistency:
    r"""Return how reliable a metric is, from its scores before and after mild and strong perturbations.

    .. math:: MC = \tfrac14 \left(IAC_{NR} + IAC_{AR} + IEC_{NR} + IEC_{AR}\right)

    Noise resilience (NR) asks what mild noise leaves, adversary reactivity (AR) what strong noise changes. Within a
    method (intra-consistency, IAC): the p-value of Wilcoxon's signed-rank test of its scores, before against after,
    averaged over methods and draws; for AR, 1 minus it. Between methods (inter-consistency, IEC): the share that keep
    their rank on an input, for AR the share of all scores that got worse. Unit: none.

    Chance is not 0: a metric on which the noise has no effect has 1, 0, 1 and 0, so 0.5; one that is itself noise has
    :math:`(1.5 + 1/m) / 4` of m methods in expectation. It misleads where inputs are many: their p-values fall, and a
    shift too small to matter costs all of IAC under mild noise. Compare metrics at equal inputs alone. NaN where in no
    draw an input counts: mild noise that changes every prediction is not mild, strong noise that changes none not
    strong.

    Args:
        better: end of the metric that is better.

    Source: Hedstroem et al. 2023, arXiv:2302.07265; what counts as worse follows the code beside the paper.
    """
    parts = (
        _mean_present(compute_p_values(scores, mild)),
        1 - _mean_present(compute_p_values(scores, strong)),
        _mean_present(count_equal_ranks(scores, mild)),
        _mean_present(count_worse_scores(scores, strong, better)),
    )
    return MetaConsistency(float(np.mean(parts)), *parts)


def _mean_present(values: Float[np.ndarray, "..."]) -> float:
    present = values[np.isfinite(values)]
    return float(present.mean()) if present.size else np.nan


def compute_p_values(
    scores: Float[np.ndarray, "methods inputs"], perturbed: PerturbedScores
) -> Float[np.ndarray, "draws methods"]:
    """Return Wilcoxon's p-value of each method in each draw: 1 where no score moved, NaN where no input counts."""
    p_values = np.full(perturbed.values.shape[:2], np.nan)
    for draw, method in np.ndindex(p_values.shape):
        changes = perturbed.values[draw, method] - scores[method]
        counts = perturbed.counts[draw] & np.isfinite(changes)
        p_values[draw, method] = _signed_rank_p_value(changes[counts])
    return p_values


def _signed_rank_p_value(changes: Float[np.ndarray, " inputs"]) -> float:
    if not len(changes):
        return np.nan
    if not changes.any():  # nothing moved: there is no order of sizes that could be tested
        return 1.0
    sizes = np.abs(changes)
    without_ties = len(np.unique(sizes)) == len(sizes)
    distinct = without_ties and bool(sizes.all())
    # Tied sizes have no table of exact values, and permuting their signs takes seconds for each test.
    method = "exact" if distinct and len(sizes) <= _MOST_EXACT else "asymptotic"
    # Scores that did not move count half on each side, as in the paper's code.
    return float(stats.wilcoxon(changes, zero_method="zsplit", method=method).pvalue)


def count_equal_ranks(
    scores: Float[np.ndarray, "methods inputs"], perturbed: PerturbedScores
) -> Float[np.ndarray, " draws"]:
    """Return the share of methods whose rank on an input is the same as before; ties share their mean rank."""
    before = stats.rankdata(scores, axis=0)
    shares = np.full(len(perturbed.values), np.nan)
    for draw, values in enumerate(perturbed.values):
        # A method without a value leaves the ranks of all others open.
        finite = np.isfinite(values) & np.isfinite(scores)
        complete = finite.all(0)
        counts = perturbed.counts[draw] & complete
        if counts.any():
            after = stats.rankdata(values[:, counts], axis=0)
            shares[draw] = (after == before[:, counts]).mean()
    return shares


def count_worse_scores(
    scores: Float[np.ndarray, "methods inputs"], perturbed: PerturbedScores, better: Literal["higher", "lower"]
) -> Float[np.ndarray, " draws"]:
    """Return the share of scores that are worse than before, of all methods and of the inputs that count."""
    losses = _SIGNS[better] * (scores - perturbed.values)
    counts = perturbed.counts[:, None] & np.isfinite(losses)
    worse = (losses > 0) & counts
    total = counts.sum((1, 2))
    undefined = np.full(len(total), np.nan)
    return np.divide(worse.sum((1, 2)), total, out=undefined, where=total > 0)
