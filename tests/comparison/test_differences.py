"""Means of methods and differences from one of them: paired, over trainings and images, corrected together."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xnb.comparison import adjust_holm, estimate_differences, estimate_mean, intervals


def table(values, methods="abc"):
    """From an array (trainings, methods, images) by one metric."""
    trainings, method, images = np.indices(values.shape)
    columns = {
        "model": trainings.ravel(),
        "method": np.array(list(methods))[method].ravel(),
        "metric": "deletion",
        "image": images.ravel(),
        "value": values.ravel(),
    }
    return pd.DataFrame(columns)


@pytest.fixture
def drawn():
    """Images that differ by 1, a and b alike, c better by 0.1 with hardly a doubt, three trainings."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, 1, 40)) + 0.01 * rng.normal(size=(3, 3, 40))
    values[:, 2] += 0.1
    return values


def test_pairs_images_and_trainings(drawn):
    """The row of c is `estimate_mean` of c - a, training by training and image by image."""
    found = estimate_differences(table(drawn), "a").set_index("method")
    expected = estimate_mean(drawn[:, 2] - drawn[:, 0])
    assert list(found.index) == ["b", "c"]
    assert found.loc["c", list(expected._fields)].tolist() == pytest.approx(list(expected))
    assert found.loc["c", ["trainings", "images"]].tolist() == [3, 40]
    assert found.loc["c", "low"] > 0
    assert found.loc["b", "low"] < 0 < found.loc["b", "high"]


def test_statements_are_corrected_together(drawn):
    found = estimate_differences(table(drawn), "a")
    assert found["p_holm"].tolist() == pytest.approx(adjust_holm(found["p_value"]))
    assert found["p_holm"].min() == pytest.approx(2 * found["p_value"].min())


def test_one_network_has_no_column_of_models(drawn):
    found = estimate_differences(table(drawn[:1]).drop(columns="model"), "a").set_index("method")
    assert found.loc["c", "mean"] == pytest.approx((drawn[0, 2] - drawn[0, 0]).mean())
    assert found.loc["c", "trainings"] == 1


def test_images_without_a_value_are_left_out_of_all(drawn):
    drawn[1, 2, :5] = np.nan
    found = estimate_differences(table(drawn), "a").set_index("method")
    assert found.loc["c", "images"] == 35
    assert found.loc["b", "images"] == 40
    assert found.loc["c", "mean"] == pytest.approx((drawn[:, 2] - drawn[:, 0])[:, 5:].mean())


def test_nothing_differs_from_the_only_method(drawn):
    found = estimate_differences(table(drawn[:, :1], "a"), "a")
    assert found.empty
    assert {"mean", "p_holm", "images"} <= set(found.columns)


def test_refusals(drawn):
    with pytest.raises(ValueError, match="versus must be one of the methods\n  got: 'z'"):
        estimate_differences(table(drawn), "z")


def test_a_method_without_values_is_open(drawn):
    """A row that was not tested does not count among the statements: b's p-value stays its own."""
    drawn[0, 2] = np.nan
    found = estimate_differences(table(drawn), "a").set_index("method")
    assert found.loc["c", ["mean", "low", "high", "p_value", "p_holm"]].isna().all()
    assert found.loc["c", "images"] == 0
    assert found.loc["b", "p_holm"] == found.loc["b", "p_value"]


class TestIntervals:
    def test_of_one_network_it_is_student_s(self, drawn):
        found = intervals(table(drawn[:1]).drop(columns="model")).set_index("method")
        values = drawn[0, 2]
        theirs = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert found.loc["c", ["mean", "low", "high"]].tolist() == pytest.approx([values.mean(), *theirs])
        assert list(found.columns) == ["metric", "mean", "low", "high", "trainings", "images"]

    def test_of_several_it_speaks_of_other_trainings_too(self, drawn):
        found = intervals(table(drawn)).set_index("method")
        expected = estimate_mean(drawn[:, 2])
        assert found.loc["c", ["mean", "low", "high"]].tolist() == pytest.approx(list(expected[:3]))
        assert found.loc["c", ["trainings", "images"]].tolist() == [3, 40]

    def test_side_by_side_methods_seem_equal_that_differ_image_by_image(self, drawn):
        found = intervals(table(drawn)).set_index("method")
        assert found.loc["a", "high"] > found.loc["c", "low"]
        assert estimate_differences(table(drawn), "a").set_index("method").loc["c", "low"] > 0

    @pytest.mark.parametrize(("by_training", "by_image"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])
    def test_covers_as_often_as_it_says(self, by_training, by_image):
        """400 methods whose true mean is 0, of 8 trainings by 30 images, whichever of the two they differ by."""
        rng = np.random.default_rng(0)
        values = by_training * rng.normal(size=(400, 8, 1)) + by_image * rng.normal(size=(400, 1, 30))
        values = values + 0.3 * rng.normal(size=(400, 8, 30))
        names = [str(number) for number in range(400)]
        found = intervals(table(values.swapaxes(0, 1), names), level=0.9)
        covered = ((found["low"] <= 0) & (found["high"] >= 0)).mean()
        # Five standard errors of 400 draws below; above where one axis is much the shorter part.
        assert 0.9 - 5 * np.sqrt(0.09 / 400) < covered < 0.98

    def test_images_without_a_value_are_left_out_and_counted(self, drawn):
        drawn[0, 0, 2:] = np.nan
        drawn[0, 1, 1:] = np.nan
        drawn[0, 2] = np.nan
        found = intervals(table(drawn[:1]))
        assert found["images"].tolist() == [2, 1, 0]
        assert found["mean"].tolist()[:2] == pytest.approx([drawn[0, 0, :2].mean(), drawn[0, 1, 0]])
        assert found["low"].isna().tolist() == [False, True, True]
        assert np.isnan(found["mean"][2])

    def test_rows_keep_their_order_and_images_are_matched_by_number(self):
        values = np.array([[[1.0, 2.0], [3.0, 5.0]]])
        given = table(values, "za")
        given.loc[given["method"] == "a", "image"] = [1, 0]
        assert intervals(given)["method"].tolist() == ["z", "a"]
        found = estimate_differences(given, "z")
        assert found["mean"].tolist() == [2.5]
        assert found["high"][0] - 2.5 == pytest.approx(stats.t.ppf(0.975, 1) * 1.5)  # 3 - 2 and 5 - 1

    def test_a_level_is_no_percentage(self, drawn):
        with pytest.raises(ValueError, match="between 0 and 1"):
            intervals(table(drawn), level=95.0)


def test_a_row_says_what_it_is_of_and_what_is_known():
    found = estimate_differences(table(np.random.default_rng(0).normal(size=(2, 3, 5))), "a")
    known = ["mean", "low", "high", "p_value", "detectable", "trainings", "images", "p_holm"]
    assert list(found.columns) == ["method", "metric", *known]
    assert list(found.index) == [0, 1]
