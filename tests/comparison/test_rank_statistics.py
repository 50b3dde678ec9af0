"""Orders of few items: intervals and chance lines beside closed forms, scipy and simulations."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xnb.comparison import concordance, estimate_concordance, estimate_rank_correlation, estimate_ranks, ranks
from xnb.comparison.rank_statistics import Concordance, fieller_interval
from xnb.comparison.statistics import kendall_w

METRICS = ("deletion", "insertion", "srg")


def table(values, **more):
    """From an array (methods, metrics, images), of which more is better."""
    methods, metrics, images = np.indices(values.shape)
    signs = np.array([-1, 1, 1])[: values.shape[1], None]  # deletion is better lower
    columns = {
        "method": np.array(list("abcdefgh"))[methods].ravel(),
        "metric": np.array(METRICS)[metrics].ravel(),
        "image": images.ravel(),
        "value": (values * signs).ravel(),
    }
    return pd.DataFrame(columns | more)


class TestCorrelation:
    def test_interval_of_eight_items(self):
        """Closed form: tanh(artanh 0.69 -+ 1.96 sqrt(1.06 / 5)) = -0.05, 0.94."""
        assert fieller_interval(0.69, 8, 0.95) == pytest.approx((-0.054, 0.941), abs=5e-4)

    @pytest.mark.parametrize("items", [4, 8])
    def test_a_perfect_order_counts_as_half_a_swap_from_perfect(self, items):
        """A swap of neighbours has r = 1 - 12 / (n^3 - n), so half of one 1 - 6 / (n^3 - n)."""
        swapped = [2, 1, *range(3, items + 1)]
        nearly = (1 + stats.spearmanr(range(items), swapped).statistic) / 2
        low, high = fieller_interval(1.0, items, 0.9)
        assert low == pytest.approx(np.tanh(np.arctanh(nearly) - stats.norm.ppf(0.95) * np.sqrt(1.06 / (items - 3))))
        assert high == 1
        assert fieller_interval(-1.0, items, 0.9) == pytest.approx((-1, -low))

    def test_scipy_agrees(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 30))
        found = estimate_rank_correlation(a, a + b)
        theirs = stats.spearmanr(a, a + b)
        assert found.correlation == pytest.approx(theirs.statistic)
        assert found.p_value == pytest.approx(theirs.pvalue, abs=0.003)

    def test_all_orders_of_four_items(self):
        """Of 24 orders two are as far from 0 as the perfect one: p = 1 / 12."""
        found = estimate_rank_correlation([1, 2, 3, 4], [10, 20, 30, 40])
        assert found.correlation == pytest.approx(1)
        assert found.p_value == pytest.approx(1 / 12)
        assert found.low < 0
        assert found.high == pytest.approx(1)

    def test_interval_keeps_its_promise(self):
        """Of normal pairs with r = 0.5, whose rank correlation is 6 / pi arcsin(0.25) = 0.483, 12 pairs at a time."""
        rng = np.random.default_rng(0)
        covered = 0
        for _ in range(1000):
            a, b = rng.normal(size=(2, 12))
            r = stats.spearmanr(a, 0.5 * a + np.sqrt(0.75) * b).statistic
            low, high = fieller_interval(r, 12, 0.95)
            covered += low <= 0.483 <= high
        assert covered / 1000 > 0.93

    @pytest.mark.parametrize(
        ("a", "b"),
        [([1, 2, 3], [1, 2, 3]), ([1, 2, 3, 4], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4])],
    )
    def test_too_little_is_refused(self, a, b):
        with pytest.raises(ValueError, match="four items or more"):
            estimate_rank_correlation(a, b)


def test_both_are_written_with_their_intervals():
    order = estimate_rank_correlation([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 6, 5, 8, 7])
    assert f"{order:.2f}" == f"{order.correlation:.2f} [{order.low:.2f}, {order.high:.2f}]"
    assert f"{order}" == str(order)
    agreed = Concordance(0.371, 0.222, 0.819, 0.25, 0.16)
    assert f"{agreed:.2f}" == "0.37 [0.22, 0.82]"
    assert f"{agreed}" == str(agreed)


class TestConcordance:
    def test_is_the_plain_number(self):
        values = np.random.default_rng(0).normal(size=(5, 3, 20))
        assert estimate_concordance(table(values)).w == pytest.approx(concordance(table(values)))

    def test_chance_is_not_zero(self):
        """Three metrics that rank by lot agree by 1 / 3, and the p-value of such a table may be anything."""
        rng = np.random.default_rng(0)
        found = [estimate_concordance(table(rng.normal(size=(6, 3, 10))), resamples=400) for _ in range(60)]
        assert np.mean([one.chance for one in found]) == pytest.approx(1 / 3, abs=0.01)
        assert np.mean([one.p_value for one in found]) == pytest.approx(0.5, abs=0.12)

    def test_one_order_by_all(self):
        """Of six methods by three metrics, (6!)^2 tables in one order are as far: less than one of 2,000 shuffles."""
        values = np.arange(6.0)[:, None, None] + 0.01 * np.random.default_rng(0).normal(size=(6, 3, 20))
        found = estimate_concordance(table(values))
        assert found[:3] == (1, 1, 1)
        assert found.p_value == pytest.approx(1 / 2001)

    def test_lots_that_agree_as_much_count(self):
        """Two metrics put two methods into the same order in half of all cases."""
        values = np.arange(2.0)[:, None, None] + np.zeros((2, 2, 5))
        found = estimate_concordance(table(values))
        assert found.w == 1
        assert found.p_value == pytest.approx(0.5, abs=0.05)

    def test_friedman_agrees_where_methods_are_many(self):
        """The published approximation: m (n - 1) W has a chi-squared distribution with n - 1 degrees of freedom."""
        values = np.random.default_rng(3).normal(size=(8, 3, 1)) + 1.2 * np.linspace(0, 1, 8)[:, None, None]
        found = estimate_concordance(table(values), resamples=20_000)
        assert found.p_value == pytest.approx(stats.chi2.sf(3 * 7 * found.w, 7), abs=0.05)

    def test_ties_share(self):
        """Scipy's Friedman statistic, which corrects for ties, is m (n - 1) W."""
        ranked = stats.rankdata([[1, 1, 2, 3], [2, 1, 3, 3], [1, 2, 2, 4]], axis=1)
        theirs = stats.friedmanchisquare(*ranked.T).statistic
        assert kendall_w(ranked.T) == pytest.approx(theirs / (3 * 3))

    def test_one_metric_agrees_with_nobody(self):
        values = np.random.default_rng(0).normal(size=(4, 1, 20))
        assert np.isnan(estimate_concordance(table(values))).all()

    def test_not_defined(self):
        assert np.isnan(kendall_w(np.ones((1, 3))))
        assert np.isnan(kendall_w(np.ones((4, 3))))


class TestRanks:
    def test_clear_order_has_no_width(self):
        values = np.arange(4.0)[:, None, None] + 0.01 * np.random.default_rng(0).normal(size=(4, 3, 20))
        found = estimate_ranks(table(values))
        assert found["rank"].tolist() == found["low"].tolist() == found["high"].tolist()
        assert found[found["method"] == "d"]["rank"].tolist() == [1, 1, 1]  # the largest, and deletion's smallest

    def test_ranks_are_those_of_the_table(self):
        data = table(np.random.default_rng(0).normal(size=(5, 3, 20)))
        found = estimate_ranks(data).set_index(["method", "metric"])["rank"].unstack("metric")
        pd.testing.assert_frame_equal(found, ranks(data)[found.columns], check_names=False)

    def test_methods_alike_may_change_places(self):
        rng = np.random.default_rng(0)
        values = rng.normal(size=(3, 3, 30))
        values[2] += 5
        found = estimate_ranks(table(values)).set_index("method")
        assert (found.loc["c", ["low", "high"]] == 1).all(axis=None)
        assert (found.loc["a", "high"] - found.loc["a", "low"]).max() == 1

    def test_trainings_that_differ_widen(self):
        """One network prefers a, the other b, on every image: from images alone no doubt would be seen."""
        rng = np.random.default_rng(0)
        noise = 0.01 * rng.normal(size=(2, 3, 30))
        one = table(noise + np.array([1.0, 0.0])[:, None, None], model=0)
        other = table(noise + np.array([0.0, 1.1])[:, None, None], model=1)
        found = estimate_ranks(pd.concat([one, other]))
        assert (found["low"] == 1).all()
        assert (found["high"] == 2).all()

    def test_images_without_a_value_are_left_out(self):
        values = np.arange(3.0)[:, None, None] + 0.01 * np.random.default_rng(0).normal(size=(3, 3, 20))
        values[0, 0, :15] = np.nan
        assert estimate_ranks(table(values)).notna().all(axis=None)  # some draws hold none of the five images
