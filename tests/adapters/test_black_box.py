"""Functions of arrays are models without a gradient, explained in the unit in which they answer."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from xnb import attribute
from xnb.access.score import logits as run
from xnb.adapters import from_numpy

ARRAY = np.random.default_rng(0).normal(size=(60, 3))
CLASSES = (ARRAY @ [1.0, -2.0, 0.5] > 0).astype(int)
FITTED = LogisticRegression().fit(ARRAY, CLASSES)


@pytest.fixture
def x():
    return torch.tensor(ARRAY[:4], dtype=torch.double)


def test_probabilities_are_explained_as_they_are(x):
    """Shapley values of P(class 1) add up to P(x) - P(0)."""
    net = from_numpy(FITTED.predict_proba)
    p = FITTED.predict_proba(ARRAY[:4])
    np.testing.assert_allclose(net(x), p)
    found = attribute(net, x, 1, "exact_shapley")
    np.testing.assert_allclose(found.sum(1), p[:, 1] - FITTED.predict_proba(np.zeros((1, 3)))[0, 1])


def test_the_softmax_of_log_probabilities_is_the_probability(x):
    """The difference of the two logarithms is the log-odds, whose Shapley values are weight times feature."""
    net = from_numpy(FITTED.predict_proba, log=True)
    np.testing.assert_allclose(net(x).softmax(1), FITTED.predict_proba(ARRAY[:4]))
    found = attribute(net, x, 1, "exact_shapley") - attribute(net, x, 0, "exact_shapley")
    np.testing.assert_allclose(found, FITTED.coef_ * ARRAY[:4], atol=1e-9)


def test_one_number_an_input_has_a_positive_and_a_negative_side(x):
    """A linear score z has weight times feature for target 1, and the negative of it for target 0."""
    net = from_numpy(FITTED.decision_function)
    expected = FITTED.coef_ * ARRAY[:4]
    np.testing.assert_allclose(attribute(net, x, 1, "exact_shapley"), expected)
    np.testing.assert_allclose(attribute(net, x, 0, "feature_ablation"), -expected)


def test_one_stated_probability_becomes_its_log_odds(x):
    net = from_numpy(lambda a: FITTED.predict_proba(a)[:, 1], log=True)
    np.testing.assert_allclose(net(x)[:, 0], FITTED.decision_function(ARRAY[:4]))


def test_certainty_has_a_finite_logarithm(x):
    """log(0.000001) = -13.8155."""
    net = from_numpy(lambda a: np.tile([0.0, 1.0], (len(a), 1)), log=True)
    torch.testing.assert_close(net(x)[0], torch.tensor([-13.8155106, 0.0], dtype=torch.double))


def test_the_function_gets_float64_and_the_answer_has_the_precision_of_x():
    seen = []

    def function(a):
        seen.append(a.dtype)
        return a.sum(1)

    assert from_numpy(function)(torch.ones(2, 3)).dtype == torch.float
    assert seen == [np.float64]


def test_a_function_of_a_table_gets_its_columns(x):
    frame = pd.DataFrame(ARRAY, columns=["a", "b", "c"])
    fitted = LinearRegression().fit(frame, ARRAY[:, 1])
    net = from_numpy(fitted.predict, columns=["a", "b", "c"])
    np.testing.assert_allclose(net(x)[:, 0], ARRAY[:4, 1])
    with pytest.raises(ValueError, match="a name for each feature"):
        run(from_numpy(fitted.predict, columns=["a", "b"]), x)


@pytest.mark.parametrize(
    "function", [FITTED.predict, lambda a: [a, a], lambda a: a[:1], lambda a: np.array(["yes"] * len(a))]
)
def test_labels_and_lists_are_refused(x, function):
    with pytest.raises(ValueError, match="must return floats"):
        run(from_numpy(function), x)


def test_only_probabilities_have_a_logarithm(x):
    with pytest.raises(ValueError, match="log=True is for probabilities"):
        run(from_numpy(FITTED.decision_function, log=True), x)
