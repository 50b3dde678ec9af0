"""Thresholds, rates and decisions: closed forms, simulations, and other libraries."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss

from xnb.comparison.operating_point import (
    choose_threshold,
    compare_pairs,
    estimate_rate,
    fit_temperature,
    log_losses,
    net_benefits,
    sensitivity_law,
)


class TestRate:
    def test_no_miss_has_a_closed_form(self):
        """Wilson 1927: of n hits the lower end is n / (n + z squared)."""
        z = stats.norm.ppf(0.975)
        rate = estimate_rate(np.ones(20))
        assert rate.rate == rate.high == 1
        assert rate.low == pytest.approx(20 / (20 + z**2))

    def test_several_statements_take_a_wider_interval_each(self):
        alone, together = (estimate_rate([1, 1, 1, 0], statements=m) for m in (1, 20))
        assert together.low < alone.low < alone.high < together.high
        assert together == estimate_rate([1, 1, 1, 0], level=0.9975)


class TestPairs:
    def test_only_what_one_alone_has_right_counts(self):
        """Six of seven to one side: 2 (1 + 7) / 2 to the 7th."""
        first = [1] * 6 + [0] + [1] * 50 + [0] * 3
        second = [0] * 6 + [1] + [1] * 50 + [0] * 3
        assert compare_pairs(first, second) == (6, 1, pytest.approx(2 * 8 / 128))

    def test_equal_models_do_not_differ(self):
        assert compare_pairs([1, 0], [1, 0]).p_value == 1


class TestThreshold:
    @pytest.mark.parametrize(("n", "rank"), [(37, 2), (389, 12), (33, 1), (100, 4)])
    def test_misses_no_more_than_may_be(self, n, rank):
        scores = np.random.default_rng(0).permutation(n).astype(float)
        threshold = choose_threshold([*scores, -5.0], [True] * n + [False], 0.97)
        assert threshold == (rank - 1, rank, n)
        assert (scores >= threshold.value).mean() >= 0.97

    def test_later_sensitivity_follows_its_law_whatever_the_scores_are(self):
        rng = np.random.default_rng(0)
        sensitivities = []
        for _ in range(4000):
            threshold = choose_threshold(rng.exponential(size=37), [True] * 37, 0.97)
            sensitivities.append(stats.expon.sf(threshold.value))
        law = sensitivity_law(37, 2)
        assert stats.kstest(sensitivities, law.cdf).pvalue > 0.01
        assert law.mean() == pytest.approx(36 / 38)
        assert law.sf(0.97) == pytest.approx(0.31, abs=0.005)
        assert sensitivity_law(37, 1).mean() == pytest.approx(37 / 38)


class TestTemperature:
    def test_finds_the_factor_by_which_odds_are_overstated(self):
        rng = np.random.default_rng(0)
        f = rng.normal(size=20_000)
        sick = rng.random(20_000) < 1 / (1 + np.exp(-f))
        assert fit_temperature(3 * f, sick) == pytest.approx(3, rel=0.05)

    def test_separated_classes_need_doubt(self):
        f, sick = np.array([-3.0, -2, 2, 3]), np.array([0, 0, 1, 1])
        assert fit_temperature(f, sick) == pytest.approx(np.exp(-3), rel=1e-2)
        assert fit_temperature(f, sick, doubt=True) > 0.5

    @pytest.mark.parametrize(("sick", "well"), [(3, 1), (2, 5), (1, 1)])
    def test_doubt_has_a_closed_form(self, sick, well):
        """Log odds of 2, all of the right sign: 2 / T is the logit of the mean target, (n + 1) / (n + 2) of a class."""
        f = np.array([2.0] * sick + [-2.0] * well)
        target = (sick * (sick + 1) / (sick + 2) + well * (well + 1) / (well + 2)) / (sick + well)
        found = fit_temperature(f, f > 0, doubt=True)
        assert found == pytest.approx(2 / np.log(target / (1 - target)), rel=1e-3)

    def test_odds_of_the_wrong_sign_end_at_the_other_limit(self):
        assert fit_temperature([2.0, -2.0], [0, 1]) == pytest.approx(np.exp(3), rel=1e-2)

    def test_losses_are_those_of_scikit_learn(self):
        f, sick = np.array([-3.0, 0.5, 2]), np.array([0, 1, 0])
        assert log_losses(f, sick).mean() == pytest.approx(log_loss(sick, 1 / (1 + np.exp(-f))))


def test_net_benefit_is_true_positives_less_weighted_false_ones():
    """Vickers & Elkin's formula, by hand: at 0.2 a needless act costs a quarter."""
    f, sick = np.array([2.0, 2, -3, 1, -1]), np.array([1, 0, 1, 0, 1])
    gains = net_benefits(f, sick, 0.2)
    assert gains.tolist() == [1, -0.25, 0, -0.25, 1]
    everyone = net_benefits(np.full(5, np.inf), sick, 0.2)
    assert everyone.mean() == pytest.approx(3 / 5 - 2 / 5 / 4)
    assert not net_benefits(np.full(5, -np.inf), sick, 0.2).any()
    assert net_benefits(np.stack([f, -f]), sick, 0.2).shape == (2, 5)


def test_who_is_as_sure_as_the_threshold_acts():
    assert net_benefits([0.0, 0.0, -1e-9], [1, 0, 1], 0.5).tolist() == [1, -1, 0]
