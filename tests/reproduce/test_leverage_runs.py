"""T5: rows as the authors draw them, estimates that reach the truth, centres with their spreads.

Tests: reproduce.t5_leverage
"""

import numpy as np
import pandas as pd
import pytest

from reproduce import t5_leverage
from reproduce.t5_leverage import ESTIMATORS, Game, draw_row, estimate_values, measure_centre, measure_spreads


@pytest.fixture
def game():
    """A product of two features and a third: Shapley values by hand."""
    records = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))

    def predict(x):
        return x[:, 0] * x[:, 1] + 2 * x[:, 2]

    def find_truth(row, baseline):
        (a, b, c), (p, q, r) = row[0], baseline[0]
        return np.array([(a - p) * (b + q) / 2, (b - q) * (a + p) / 2, 2 * (c - r)])

    return Game(predict, find_truth, records)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_that_may_ask_everything_is_exact(game, estimator):
    row, baseline = draw_row(game.records, 0)
    estimate = estimate_values(game, estimator, row, baseline, 0)
    np.testing.assert_allclose(estimate, game.truth(row, baseline), atol=1e-9)


def test_rows_are_those_of_the_old_generator_and_no_feature_is_at_its_mean():
    records = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [5.0, 1.0, 3.0]})
    for run in range(8):
        row, baseline = draw_row(records, run)
        first = records.iloc[np.random.RandomState(run * 100).choice(3)].to_numpy()
        assert baseline.tolist() == [[1.0, 3.0]]
        assert (row != baseline).all()
        assert all(row[0][first != baseline[0]] == first[first != baseline[0]])


def test_centres_and_spreads_of_known_runs():
    runs = np.arange(100.0)
    centre = measure_centre(runs)
    assert centre["mean"].value == centre["median"].value == 49.5
    assert (centre["median"].low, centre["median"].high) == (39, 60)
    assert measure_spreads(runs)["median"] == 21 / 4


def test_errors_are_compared_run_by_run():
    ratio = t5_leverage.compare_errors(np.full(5, 0.01), np.full(5, 0.1))
    assert ratio["mean"] == pytest.approx(-1)
