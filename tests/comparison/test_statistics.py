"""What a table says: ranks, agreement and the front, beside closed forms and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xnb.comparison import agreement, concordance, pareto, ranks

BETTER = {"up": "higher", "down": "lower", "also up": "higher", "size": "neither"}


def table(values, images=None, **more):
    """From {(method, metric): numbers}, an image each."""
    frames = [
        pd.DataFrame({"method": method, "metric": metric, "image": images or range(len(numbers)), "value": numbers})
        for (method, metric), numbers in values.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(forward=1.0, backward=0.0, method_seconds=1.0, **more)


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

    def test_two_methods_and_two_metrics_are_enough(self):
        assert concordance(judged(up=[1, 2], also_up=[3, 4]), better=BETTER) == pytest.approx(1)
        assert concordance(judged(up=[1, 2], also_up=[4, 3]), better=BETTER) == pytest.approx(0)

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

    def test_value_and_cost_are_means_over_images(self):
        given = table({("a", "up"): [1, 3], ("b", "up"): [2, 8]})
        given["forward"], given["backward"] = [1, 2, 3, 6], [0, 2, 1, 1]
        found = pareto(given, "up", better=BETTER)
        assert found["value"].tolist() == [2, 5]
        assert found["cost"].tolist() == [1.5 + 2 * 1, 4.5 + 2 * 1]

    def test_equals_are_both_on_the_front(self):
        assert pareto(judged(up=[1, 1]), "up", better=BETTER)["front"].all()

    @pytest.mark.parametrize(("metric", "says"), [("srg", "no such metric"), ("size", "neither")])
    def test_refusals(self, metric, says):
        with pytest.raises(ValueError, match=says):
            pareto(judged(size=[1, 2]), metric, better=BETTER)
