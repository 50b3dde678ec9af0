"""Advice on tables whose answer is known: controls beaten or not, methods level or worse, one training and several."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xnb.comparison import adjust_holm, advise, estimate_mean

COSTS = {"cheap": (1, 1), "dear": (64, 0), "poor": (1, 0), "random": (0, 0), "edges": (0, 0)}


def make_table(values, metric="srg"):
    """From arrays (trainings, images) by method."""
    rows = []
    for method, numbers in values.items():
        forward, backward = COSTS[method]
        for (model, image), value in np.ndenumerate(numbers):
            row = {"model": model, "method": method, "metric": metric, "image": image, "value": value}
            rows.append(row | {"forward": forward, "backward": backward, "method_seconds": forward / 10})
    return pd.DataFrame(rows)


@pytest.fixture
def drawn():
    """Images differ by 3; cheap and dear are level at 1, poor has 0.5, both controls 0, each with noise of 0.1."""
    rng = np.random.default_rng(0)
    means = {"cheap": 1.0, "dear": 1.0, "poor": 0.5, "random": 0.0, "edges": 0.0}
    images = 3 * rng.normal(size=(1, 40))
    return {name: mean + images + 0.1 * rng.normal(size=(1, 40)) for name, mean in means.items()}


def test_the_cheapest_of_those_that_are_as_good_as_the_best(drawn):
    found = advise(make_table(drawn), "srg")
    assert found["method"].tolist() == ["cheap", "dear", "poor"]
    assert found["cost"].tolist() == [3, 64, 1]
    assert found["reason"][0].startswith("advised: beats every control")
    assert found["reason"][1].startswith("costs more than cheap")
    assert found["reason"][2].startswith("worse than ")


def test_numbers_are_those_of_the_paired_differences(drawn):
    """By hand: Student's interval of the differences, image by image; Holm over three methods by two controls."""
    found = advise(make_table(drawn), "srg").set_index("method")
    differences = [(drawn[name] - drawn[control])[0] for name in found.index for control in ("random", "edges")]
    p_values = [stats.ttest_1samp(values, 0).pvalue for values in differences]
    assert found["p_holm"].max() == pytest.approx(max(adjust_holm(p_values)), abs=1e-11)
    least = min((drawn["poor"] - drawn[name] for name in ("random", "edges")), key=lambda d: estimate_mean(d[0]).low)
    expected = estimate_mean(least[0])
    assert found.loc["poor", ["lead", "lead_low", "lead_high"]].tolist() == pytest.approx(expected[:3])
    best = max(("cheap", "dear"), key=lambda name: drawn[name].mean())
    expected = estimate_mean((drawn["poor"] - drawn[best])[0])
    assert found.loc["poor", ["behind", "behind_low", "behind_high"]].tolist() == pytest.approx(expected[:3])
    assert found.loc[best, "behind"] == 0


def test_it_is_paired(drawn):
    """Means of methods and controls overlap by far, as images differ by more than methods."""
    table = make_table(drawn)
    by_method = table.groupby("method")["value"]
    assert by_method.std().min() > 2 * by_method.mean().max() - 2 * by_method.mean().min()
    assert advise(table, "srg")["method"][0] == "cheap"


def test_less_may_be_better(drawn):
    """The same table with all signs turned, by a metric of which less is better, has the same answer."""
    found = advise(make_table(drawn), "srg")
    turned = advise(make_table({name: -values for name, values in drawn.items()}, "deletion"), "deletion")
    pd.testing.assert_frame_equal(turned.drop(columns="value"), found.drop(columns="value"))
    assert turned["value"].tolist() == pytest.approx((-found["value"]).tolist())
    own = advise(make_table(drawn, "mine"), "mine", better={"mine": "higher"})
    pd.testing.assert_frame_equal(own, found)


def test_a_control_that_is_not_beaten_takes_a_method_out(drawn):
    drawn["edges"] = drawn["edges"] + 0.75
    found = advise(make_table(drawn), "srg")
    assert found["method"].tolist() == ["cheap", "dear", "poor"]
    assert found["control"][2] == "edges"
    assert found["reason"][2].startswith("does not beat edges: -0.2")
    assert np.isnan(found["behind"][2])


def test_without_the_control_that_is_level_there_is_advice(drawn):
    drawn["edges"] = drawn["dear"] + 0.01 * np.sin(np.arange(40.0))[None]
    drawn["cheap"] = drawn["cheap"] - 0.1
    table = make_table(drawn)
    with pytest.raises(ValueError, match="by srg no method beats every control\n  got: 'dear, which comes nearest"):
        advise(table, "srg")
    assert advise(table, "srg", controls=["random"])["method"][0] == "edges"
    without = table[table["method"] != "edges"]
    assert advise(without, "srg")["method"].tolist() == ["dear", "poor", "cheap"]


def test_seconds_may_be_the_cost(drawn):
    found = advise(make_table(drawn), "srg", cost="method_seconds").set_index("method")
    assert found.loc["dear", "cost"] == pytest.approx(6.4)


def test_few_images_tell_nothing_apart():
    """Two images, differences of 0.9 and 1.1 from the control: p is 0.06 by Student, and with Holm more."""
    values = {"cheap": [[0.9, 1.1]], "poor": [[0.8, 1.1]], "random": [[0.0, 0.0]]}
    with pytest.raises(ValueError, match="no method beats every control"):
        advise(make_table({name: np.array(numbers) for name, numbers in values.items()}), "srg")


class TestTrainings:
    def test_a_lead_in_one_training_is_no_lead(self):
        """In one of eight networks far ahead, in the others level: for these images sure, for other networks not."""
        rng = np.random.default_rng(1)
        values = {name: 0.05 * rng.normal(size=(8, 30)) for name in ("cheap", "dear", "random")}
        values["cheap"][0] += 5
        values["dear"] += 0.5
        found = advise(make_table(values), "srg")
        assert found["method"].tolist() == ["dear", "cheap"]
        assert found["reason"][1].startswith("does not beat random")
        averaged = make_table({name: numbers.mean(0, keepdims=True) for name, numbers in values.items()})
        assert advise(averaged, "srg")["method"][0] == "cheap"

    def test_each_training_is_compared_with_itself(self):
        """Networks differ by 10, the method is ahead by 1 in each."""
        rng = np.random.default_rng(2)
        level = 10 * rng.normal(size=(8, 1)) + rng.normal(size=(1, 20))
        values = {"cheap": level + 1, "random": level + 0.1 * rng.normal(size=(8, 20))}
        found = advise(make_table(values), "srg")
        expected = estimate_mean(values["cheap"] - values["random"])
        assert found.loc[0, ["lead", "lead_low", "lead_high"]].tolist() == pytest.approx(expected[:3])


class TestRefusals:
    def test_no_controls(self, drawn):
        table = make_table({name: drawn[name] for name in ("cheap", "poor")})
        with pytest.raises(ValueError, match=r"must hold controls.*\n  got: \['cheap', 'poor'\]\n  try: controls="):
            advise(table, "srg")
        assert advise(table, "srg", controls=["poor"])["method"].tolist() == ["cheap"]

    def test_nothing_but_controls(self, drawn):
        with pytest.raises(ValueError, match="and a method beside them"):
            advise(make_table({name: drawn[name] for name in ("random", "edges")}), "srg")

    def test_a_control_that_is_not_there(self, drawn):
        with pytest.raises(ValueError, match="got: 'centre'"):
            advise(make_table(drawn), "srg", controls=["centre"])

    def test_a_metric_that_is_not_there(self, drawn):
        with pytest.raises(ValueError, match="no such metric in the table"):
            advise(make_table(drawn), "road")
