"""What a table says: intervals, ranks, agreement and the front, beside closed forms and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xnb.comparison import agreement, concordance, intervals, pareto, ranks

BETTER = {"up": "higher", "down": "lower", "also up": "higher", "size": "neither"}


def table(values, images=None, **more):
    """From {(method, metric): numbers}, an image each."""
    frames = [
        pd.DataFrame({"method": method, "metric": metric, "image": images or range(len(numbers)), "value": numbers})
        for (method, metric), numbers in values.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(forward=1.0, backward=0.0, method_seconds=1.0, **more)


@pytest.fixture
def drawn():
    """Two methods that differ by 0.1 on every picture, and pictures that differ by much more."""
    rng = np.random.default_rng(0)
    picture = rng.normal(0, 1, 60)
    return table({("a", "up"): picture, ("b", "up"): picture + 0.1 + rng.normal(0, 0.01, 60)})


class TestIntervals:
    def test_percentile_interval_of_scipy(self, drawn):
        found = intervals(drawn, resamples=20_000).set_index("method")
        values = drawn[drawn["method"] == "a"]["value"].to_numpy()
        theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
        assert found.loc["a", "mean"] == pytest.approx(values.mean())
        assert found.loc["a", ["low", "high"]].tolist() == pytest.approx(list(theirs), abs=0.01)

    def test_differences_are_paired(self, drawn):
        found = intervals(drawn, versus="a").set_index("method")
        assert found.loc["a", ["mean", "low", "high"]].tolist() == [0, 0, 0]
        assert 0.08 < found.loc["b", "low"] < 0.1 < found.loc["b", "high"] < 0.12
        apart = intervals(drawn).set_index("method")
        assert apart.loc["a", "high"] > apart.loc["b", "low"]  # side by side they seem to be equal

    def test_covers_as_often_as_it_says(self):
        rng = np.random.default_rng(0)
        many = table({(str(n), "up"): rng.normal(0, 1, 50) for n in range(400)})
        found = intervals(many, level=0.9)
        assert ((found["low"] <= 0) & (found["high"] >= 0)).mean() == pytest.approx(0.9, abs=0.05)

    def test_images_without_a_value_are_left_out_and_counted(self):
        found = intervals(table({("a", "up"): [1.0, np.nan, 1.0], ("b", "up"): [np.nan] * 3, ("c", "up"): [0, 1, 2.0]}))
        assert found["images"].tolist() == [2, 0, 3]
        assert found.loc[0, ["mean", "low", "high"]].tolist() == [1, 1, 1]
        assert found.loc[1, ["mean", "low", "high"]].isna().all()

    def test_rows_keep_their_order_and_images_are_matched_by_number(self):
        given = table({("z", "up"): [1.0, 2.0], ("a", "up"): [3.0, 5.0]})
        given.loc[given["method"] == "a", "image"] = [1, 0]
        found = intervals(given, versus="z")
        assert found["method"].tolist() == ["z", "a"]
        assert found.loc[1, "low"] == 1  # 3 - 2 on image 1
        assert found.loc[1, "high"] == 4

    def test_spread_is_that_of_the_models(self):
        models = [table({("a", "up"): [n, n + 2.0], ("b", "up"): [n * 3, n * 3.0]}, model=n) for n in (0, 1, 2)]
        found = intervals(pd.concat(models, ignore_index=True)).set_index("method")
        assert found["mean"].tolist() == [2, 3]
        assert found["spread"].tolist() == [1, 3]

    def test_same_answer_every_time(self, drawn):
        pd.testing.assert_frame_equal(intervals(drawn), intervals(drawn))
        assert not intervals(drawn, seed=1).equals(intervals(drawn))

    @pytest.mark.parametrize(("knobs", "says"), [({"level": 95.0}, "between 0 and 1"), ({"versus": "c"}, "versus")])
    def test_refusals(self, knobs, says, drawn):
        with pytest.raises(ValueError, match=says):
            intervals(drawn, **knobs)


def judged(**columns):
    """A table with one image, from {metric: values of methods a, b, c, ...}."""
    return table({("abcdef"[i], name.replace("_", " ")): [v] for name, vs in columns.items() for i, v in enumerate(vs)})


class TestRanks:
    def test_the_best_is_first_whichever_way_is_better(self):
        found = ranks(judged(up=[3, 1, 2], down=[3, 1, 2], size=[1, 2, 3]), better=BETTER)
        assert found.columns.tolist() == ["up", "down"]
        assert found["up"].tolist() == [1, 3, 2]
        assert found["down"].tolist() == [3, 1, 2]

    def test_ties_share_and_a_method_without_a_value_is_left_out(self):
        found = ranks(judged(up=[1, 1, 5, np.nan], also_up=[1, 2, 3, 4]), better=BETTER)
        assert found.index.tolist() == ["a", "b", "c"]
        assert found["up"].tolist() == [2.5, 2.5, 1]

    def test_directions_of_metrics_of_the_catalog_are_known(self):
        given = table({("a", "srg"): [1], ("b", "srg"): [2], ("a", "deletion"): [1], ("b", "deletion"): [2]})
        assert ranks(given).loc["a"].to_dict() == {"srg": 2, "deletion": 1}
        with pytest.raises(ValueError, match=r"not known which end(.|\n)*mine"):
            ranks(table({("a", "mine"): [1]}))


class TestAgreement:
    def test_same_and_reversed_orders(self):
        found = agreement(judged(up=[1, 2, 3, 4], down=[1, 2, 3, 4], also_up=[1, 2, 4, 3]), better=BETTER)
        assert found.loc["up", "up"] == 1
        assert found.loc["up", "down"] == pytest.approx(-1)
        assert found.loc["up", "also up"] == pytest.approx(stats.spearmanr([1, 2, 3, 4], [1, 2, 4, 3]).statistic)

    def test_concordance_of_equal_and_opposite_orders(self):
        assert concordance(judged(up=[1, 2, 3], also_up=[2, 4, 9]), better=BETTER) == pytest.approx(1)
        assert concordance(judged(up=[1, 2, 3], down=[1, 2, 3]), better=BETTER) == pytest.approx(0)
        assert np.isnan(concordance(judged(up=[1, 2, 3]), better=BETTER))
        assert np.isnan(concordance(judged(up=[1, 1, 1], also_up=[1, 1, 1]), better=BETTER))

    @pytest.mark.parametrize("seed", range(3))
    def test_concordance_is_friedman_s_statistic_by_its_largest_value_also_with_ties(self, seed):
        scores = np.random.default_rng(seed).integers(0, 4, (3, 6)).astype(float)
        given = judged(**dict(zip(("up", "also_up", "down"), scores, strict=True)))
        chi2 = stats.friedmanchisquare(*(scores * [[1], [1], [-1]]).T).statistic
        assert concordance(given, better=BETTER) == pytest.approx(chi2 / (3 * 5))


class TestPareto:
    def test_by_hand(self):
        given = judged(up=[1, 3, 2, 3, 5])
        given["forward"], given["backward"], given["method_seconds"] = [0, 1, 2, 2, 9], [0, 1, 0, 1, 0], [5, 4, 3, 2, 1]
        found = pareto(given, "up", better=BETTER)
        assert found["cost"].tolist() == [0, 3, 2, 4, 9]
        assert found["front"].tolist() == [True, True, True, False, True]
        assert found["value"].tolist() == [1, 3, 2, 3, 5]
        assert pareto(given, "up", cost="method_seconds", better=BETTER)["front"].tolist() == [False] * 4 + [True]

    def test_where_less_is_better_values_stay_as_they_are(self):
        found = pareto(judged(down=[1, 3]), "down", better=BETTER)
        assert found["value"].tolist() == [1, 3]
        assert found["front"].tolist() == [True, False]

    def test_equals_are_both_on_the_front(self):
        assert pareto(judged(up=[1, 1]), "up", better=BETTER)["front"].all()

    @pytest.mark.parametrize(("metric", "says"), [("srg", "no such metric"), ("size", "neither")])
    def test_refusals(self, metric, says):
        with pytest.raises(ValueError, match=says):
            pareto(judged(size=[1, 2]), metric, better=BETTER)
