"""Intervals over trainings, inputs and draws keep their promise in simulations; of one axis they are Student's."""

import numpy as np
import pytest
from scipy import stats

from xnb.comparison import Estimate, adjust_holm, estimate_mean
from xnb.comparison.inference import mean_squares

SPREADS = [  # of trainings, of inputs; the rest has 1
    (0.0, 0.0),
    (0.3, 1.0),
    (1.0, 1.0),
    (3.0, 1.0),
]


def crossed(rng, shape, of_trainings, of_inputs):
    """Differences whose mean is 0: a part of the training, a part of the input, a rest."""
    trainings, inputs = shape
    part_of_trainings = of_trainings * rng.normal(size=(trainings, 1))
    part_of_inputs = of_inputs * rng.normal(size=(1, inputs))
    return part_of_trainings + part_of_inputs + rng.normal(size=shape)


def coverage(interval, shape, spreads, trials):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(trials):
        low, high = interval(crossed(rng, shape, *spreads))
        covered += low <= 0 <= high
    return covered / trials


def bootstrap_of_trainings(values, resamples=200):
    """The percentile interval of trainings that are drawn again."""
    rng = np.random.default_rng(1)
    means = values.mean(1)
    drawn = rng.choice(means, (resamples, len(means))).mean(1)
    return np.quantile(drawn, [0.025, 0.975])


class TestMean:
    def test_one_axis_is_students(self):
        """Closed form: the t-test of 20 values, its interval and its p-value."""
        values = np.random.default_rng(0).normal(0.3, 1, 20)
        found = estimate_mean(values)
        theirs = stats.ttest_1samp(values, 0)
        assert found.mean == pytest.approx(values.mean())
        assert [found.low, found.high] == pytest.approx(list(theirs.confidence_interval()))
        assert found.p_value == pytest.approx(theirs.pvalue, abs=1e-9)

    def test_axes_of_one_value_are_none(self):
        values = np.random.default_rng(0).normal(0.3, 1, 20)
        assert estimate_mean(values[None, :, None]) == pytest.approx(estimate_mean(values))

    def test_order_of_axes_is_free(self):
        values = np.random.default_rng(0).normal(size=(3, 10, 4))
        assert estimate_mean(values.transpose(2, 0, 1)) == pytest.approx(estimate_mean(values))

    @pytest.mark.parametrize("spreads", SPREADS)
    @pytest.mark.parametrize("shape", [(3, 60), (8, 60)])
    def test_keeps_its_promise(self, shape, spreads):
        """At least 0.93 of the intervals of 95 % cover the truth, whatever dominates."""

        def ends(values):
            return estimate_mean(values)[1:3]

        assert coverage(ends, shape, spreads, 2000) >= 0.93

    def test_few_skewed_trainings_are_its_limit(self):
        """Student's interval of three values that differ exponentially covers 88 %, by 400,000 draws of them alone."""
        rng = np.random.default_rng(1)
        covered = 0
        for _ in range(3000):
            trainings = 3 * (rng.exponential(size=(3, 1)) - 1)
            found = estimate_mean(trainings + 0.1 * rng.normal(size=(3, 60)))
            covered += found.low <= 0 <= found.high
        assert covered / 3000 == pytest.approx(0.88, abs=0.02)

    def test_what_it_replaces_does_not(self):
        """A bootstrap over three trainings that dominate covers some 73 %."""
        assert 0.6 < coverage(bootstrap_of_trainings, (3, 60), (3.0, 1.0), 300) < 0.8

    def test_three_crossed_axes_keep_it_too(self):
        rng = np.random.default_rng(0)
        covered = 0
        for _ in range(300):
            values = rng.normal(size=(4, 1, 1)) + rng.normal(size=(1, 10, 1)) + 2 * rng.normal(size=(1, 1, 4))
            found = estimate_mean(values + rng.normal(size=(4, 10, 4)))
            covered += found.low <= 0 <= found.high
        assert covered / 300 >= 0.93

    def test_variance_of_the_mean_is_unbiased(self):
        """Closed form: st^2 / T + si^2 / I + 1 / (T I) of 3 x 6 values is 3 + 2/3 + 1/18 = 3.722."""
        rng = np.random.default_rng(0)
        variances = []
        for _ in range(4000):
            squares = mean_squares(crossed(rng, (3, 6), 3.0, 2.0))
            variances.append(sum(variance if axes == 1 else -variance for axes, variance, _ in squares))
        assert np.mean(variances) == pytest.approx(3.722, rel=0.05)

    def test_p_value_is_where_the_interval_ends_at_zero(self):
        values = 0.4 + np.random.default_rng(0).normal(size=(8, 20))
        found = estimate_mean(values)
        at_p = estimate_mean(values, level=1 - found.p_value)
        assert 0 < found.p_value < 0.05
        assert at_p.low == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize(("trainings", "power"), [(8, 0.79), (3, 0.67)])
    def test_detectable_mean_is_mostly_detected(self, trainings, power):
        """Wanted 0.8: the spread that three trainings show is itself too uncertain for that."""
        rng = np.random.default_rng(0)
        shape = (trainings, 60)
        detectable = np.mean([estimate_mean(crossed(rng, shape, 1.0, 1.0)).detectable for _ in range(200)])
        found = [estimate_mean(detectable + crossed(rng, shape, 1.0, 1.0)).low > 0 for _ in range(600)]
        assert np.mean(found) == pytest.approx(power, abs=0.06)

    def test_equal_values(self):
        assert estimate_mean(np.zeros((3, 4))) == (0, 0, 0, 1, 0)
        assert estimate_mean(np.ones((3, 4))) == (1, 1, 1, 0, 0)

    def test_is_written_with_its_interval(self):
        found = Estimate(0.523, 0.406, 0.634, 0.01, 0.1)
        assert f"{found:.2f}" == "0.52 [0.41, 0.63]"
        assert f"{found:+.1f}" == "+0.5 [+0.4, +0.6]"
        assert f"{found}" == str(found)

    def test_no_minus_stands_before_a_zero(self):
        assert f"{Estimate(-0.001, -0.02, -0.0, 0.5, 0.1):.2f}" == "0.00 [-0.02, 0.00]"
        assert f"{Estimate(-0.001, -0.02, 0.0, 0.5, 0.1):+.2f}" == "+0.00 [-0.02, +0.00]"

    def test_refusals(self):
        with pytest.raises(ValueError, match="two values or more"):
            estimate_mean([[1.0]])
        with pytest.raises(ValueError, match="values must be finite"):
            estimate_mean([1.0, np.nan])
        with pytest.raises(ValueError, match="level must lie"):
            estimate_mean([1.0, 2.0], level=95.0)
        with pytest.raises(ValueError, match="power must lie"):
            estimate_mean([1.0, 2.0], power=0.3)

    @pytest.mark.parametrize("knobs", [{"level": 0.0}, {"level": 1.0}, {"power": 0.5}, {"power": 1.0}], ids=str)
    def test_the_ends_of_knobs_are_refused(self, knobs):
        with pytest.raises(ValueError, match="must lie between"):
            estimate_mean([1.0, 2.0], **knobs)


class TestHolm:
    def test_closed_form(self):
        """0.01 x 3; 0.03 x 2; 0.04 x 1, but no less than the one before."""
        assert adjust_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

    def test_no_p_value_exceeds_one(self):
        assert adjust_holm([0.9, 0.4, 0.6]).tolist() == [1, 1, 1]

    def test_untested_statements_do_not_count(self):
        found = adjust_holm([0.01, np.nan, 0.04])
        assert found[[0, 2]] == pytest.approx([0.02, 0.04])
        assert np.isnan(found[1])

    def test_one_false_rejection_or_more_is_rare(self):
        """Of ten true statements, at 5 %: 0.05 of the tables; uncorrected 1 - 0.95^10 = 0.40."""
        p = np.random.default_rng(0).random((2000, 10))
        rejected = np.array([adjust_holm(row).min() < 0.05 for row in p])
        assert (p.min(1) < 0.05).mean() == pytest.approx(0.40, abs=0.03)
        assert rejected.mean() == pytest.approx(0.05, abs=0.015)
