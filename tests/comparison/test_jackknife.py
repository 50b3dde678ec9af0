"""Pseudo-values: exact for means, DeLong's for an area under a curve, and intervals that keep their promise."""

import numpy as np
import pytest
from scipy import stats

from xnb.comparison import estimate_mean
from xnb.comparison.jackknife import make_pseudo_values


def area(pairs):
    """How often a number of the first column is larger than one of the second."""
    return float((pairs[:, :1] > pairs[:, 1]).mean())


def test_of_a_mean_they_are_the_values():
    values = np.random.default_rng(0).normal(size=12)
    np.testing.assert_allclose(make_pseudo_values(np.mean, values, 12), values)
    np.testing.assert_allclose(make_pseudo_values(np.mean, values, 3), [values[k::3].mean() for k in range(3)])


def test_their_mean_is_the_statistic_less_its_bias():
    """Closed form: the variance divided by n becomes the one divided by n - 1."""
    values = np.random.default_rng(0).normal(size=20)
    assert make_pseudo_values(np.var, values, 20).mean() == pytest.approx(values.var(ddof=1))


def test_of_an_area_they_are_delongs():
    """How often each number wins, of either column: their sum less the area, up to 1 / n."""
    pairs = np.random.default_rng(1).normal(size=(400, 2)) + np.array([0.5, 0])
    wins = (pairs[:, :1] > pairs[:, 1]).astype(float)
    delong = wins.mean(1) + wins.mean(0) - area(pairs)
    found = make_pseudo_values(area, pairs, 400)
    np.testing.assert_allclose(found, delong, atol=0.01)


@pytest.mark.parametrize(("statistic", "truth"), [(area, stats.norm.cdf(0.5)), (np.mean, 0.5 / 2**0.5)])
def test_intervals_over_trainings_and_inputs_cover(statistic, truth):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        shift = [0.5 * 2**0.5, 0]
        trainings = rng.normal(size=(8, 40, 2)) + shift
        found = estimate_mean([make_pseudo_values(statistic, pairs, 8) for pairs in trainings])
        covered += found.low <= truth <= found.high
    assert covered / 200 >= 0.93
