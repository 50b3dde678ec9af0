"""T5: rows as the authors draw them, estimates that reach the truth, centres with their spreads.

Tests: reproduce.t5_leverage
"""

import numpy as np
import pandas as pd
import pytest

from reproduce import t5_leverage
from reproduce.t5_leverage import (
    ESTIMATORS,
    Game,
    estimate_values,
    find_baseline,
    find_rows,
    measure_centre,
    measure_errors,
    measure_spreads,
)


@pytest.fixture
def game():
    """A product of two features and a third: Shapley values by hand."""
    records = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))

    def predict(x):
        return x[:, 0] * x[:, 1] + 2 * x[:, 2]

    def find_truth(rows):
        (a, b, c), (p, q, r) = rows.T, records.mean()
        return np.stack([(a - p) * (b + q) / 2, (b - q) * (a + p) / 2, 2 * (c - r)], 1)

    return Game(predict, find_truth, records)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_that_may_ask_everything_is_exact(game, estimator):
    row, baseline = game.records.to_numpy(copy=True)[:1], find_baseline(game)
    estimate = estimate_values(game, estimator, row, baseline, 0)
    np.testing.assert_allclose(estimate, game.truth(row)[0], atol=1e-9)


def test_rows_are_found_by_the_length_of_their_truth(game):
    records = game.records.to_numpy(copy=True)
    lengths = (game.truth(records[[7, 3]]) ** 2).sum(1)
    rows, off = find_rows(game, lengths * [1, 1 + 1e-9])
    np.testing.assert_array_equal(rows, records[[7, 3]])
    np.testing.assert_allclose(off, 0, atol=1e-8)
    assert all(max(errors) < 1e-12 for errors in measure_errors(game, rows).values())


def test_centres_and_spreads_of_known_runs():
    runs = np.arange(100.0)
    centre = measure_centre(runs)
    assert centre["mean"].value == centre["median"].value == 49.5
    assert (centre["median"].low, centre["median"].high) == (39, 60)
    assert measure_spreads(runs)["median"] == 21 / 4


def test_errors_are_compared_run_by_run():
    ratio = t5_leverage.compare_errors(np.full(5, 0.01), np.full(5, 0.1))
    assert ratio["mean"] == pytest.approx(-1)
