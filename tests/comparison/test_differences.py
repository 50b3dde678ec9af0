"""Every method beside one of them: paired, over trainings and images, corrected together."""

import numpy as np
import pandas as pd
import pytest

from xnb.comparison import adjust_holm, estimate_differences, estimate_mean


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
