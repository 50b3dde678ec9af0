"""Regressions on coalitions: by players or by coalitions, whichever are fewer, the answer is the same."""

import pytest
import torch

from xnb.methods.coalition_sampling import AllButOne, CoalitionPairs, OrderedJoining
from xnb.methods.regression import fit_ridge, fit_shapley_values


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


@pytest.mark.parametrize(("samples", "players"), [(12, 40), (39, 40), (40, 40), (80, 40), (3, 9000)])
def test_ridge_in_either_form(samples, players):
    """min sum_S pi_S (f_S - c - sum a)^2 + ridge |a|^2, whose normal equations hold: their right side is subtracted."""
    members = draw(samples, players) < 0.5
    kernel, scores = draw(3, samples, seed=1), draw(3, samples, seed=2)
    found = fit_ridge(members, kernel, scores, 0.3).values
    inside = members.double()
    for weights, values, a in zip(kernel, scores, found, strict=True):
        constant = (weights * (values - inside @ a)).sum() / weights.sum()
        slope = inside.mT @ (weights * (values - constant - inside @ a)) - 0.3 * a
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("pairs", "players"), [(6, 30), (28, 30), (29, 30), (60, 30), (3, 9000)])
def test_shapley_values_in_either_form(pairs, players):
    """The pseudo-inverse of the weighted rows less their means, computed from the rows themselves."""
    members = draw(pairs, players) < 0.5
    weights = draw(pairs, seed=1) + 0.1
    change, halves = draw(2, seed=2), draw(2, pairs, 2, seed=3)
    missing = torch.ones(pairs, dtype=torch.double)
    found = fit_shapley_values(CoalitionPairs(members, weights, missing), change, halves)
    inside = members.double()
    rows = weights.sqrt()[:, None] * (inside - inside.mean(1, keepdim=True))
    wanted = halves[0] - halves[1] - (inside.mean(1) - 0.5)[:, None] * change
    rest = torch.linalg.lstsq(rows, weights.sqrt()[:, None] * wanted, driver="gelsd").solution
    torch.testing.assert_close(found.values, (rest + change / players).mT, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.values.sum(1), change)
    assert found.variance.isinf().all() == (pairs <= players - 1)


def test_without_chance_there_is_no_error():
    pairs = CoalitionPairs(draw(3, 30) < 0.5, torch.ones(3).double(), torch.zeros(3).double())
    assert not fit_shapley_values(pairs, draw(2), draw(2, 3, 2)).variance.any()


def test_coalitions_made_when_asked_for():
    assert torch.equal(AllButOne(4)[0:5], torch.cat([torch.ones(1, 4).bool(), ~torch.eye(4).bool()]))
    assert torch.equal(AllButOne(4)[3:9], ~torch.eye(4).bool()[2:])
    position = torch.tensor([[2, 0, 1], [0, 1, 2]])
    walk = OrderedJoining(position)
    rows = [[0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 1, 0]]
    backward = [[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert len(walk) == 10
    assert walk[0:10].int().tolist() == rows + backward
    assert walk[5:7].int().tolist() == (rows + backward)[5:7]
    alone = OrderedJoining(torch.zeros(2, 1, dtype=torch.long))
    assert alone[0 : len(alone)].tolist() == [[False], [True]]
