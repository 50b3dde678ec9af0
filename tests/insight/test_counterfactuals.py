"""Counterfactuals: a linear model's nearest change is known, and real records are found by hand.

Tests: xnb.insight.counterfactuals.pixels, xnb.insight.counterfactuals.records
"""

import pytest
import torch
from torch import nn

from xnb.insight import counterfactuals
from xnb.insight.counterfactuals.records import measure_distance


@pytest.fixture
def linear():
    """Two classes of pictures of 2 x 2: the second logit is the weighted sum of the pixels, less one."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).double().eval()
    with torch.no_grad():
        net[1].weight[:] = torch.tensor([[0.0, 0, 0, 0], [4.0, 2, 1, -3]])
        net[1].bias[:] = torch.tensor([0.0, -1.0])
    return net


def picture(*values):
    return torch.tensor(values, dtype=torch.double).view(1, 1, 2, 2)


def test_the_smallest_change_of_a_linear_model_is_found(linear):
    """From black the lead is -1: a quarter of the pixel of weight 4 is the least that crosses it."""
    goal = torch.tensor([1])
    found = counterfactuals.change_pixels(linear, picture(0, 0, 0, 0), goal, steps=2000, rate=0.002, weight=0.5)
    assert found.reached.all()
    assert linear(found.x).argmax(1).item() == 1
    size = float(found.x.abs().sum())
    assert 0.25 <= size < 0.28
    assert float(found.x[0, 0, 0, 0]) > 0.9 * size


def test_changes_stay_in_the_span_and_what_cannot_be_reached_is_left(linear):
    x = torch.cat([picture(0, 0, 0, 0), picture(1, 1, 1, 0)])
    found = counterfactuals.change_pixels(linear, x, torch.tensor([1, 1]), steps=50)
    assert ((found.x >= 0) & (found.x <= 1)).all()
    torch.testing.assert_close(found.x[1], x[1])  # the goal is answered already
    with torch.no_grad():
        linear[1].bias[1] = -100
    found = counterfactuals.change_pixels(linear, x, torch.tensor([1, 1]), steps=50)
    assert not found.reached.any()
    assert torch.equal(found.x, x)


def test_pixels_are_laid_in_in_the_order_of_the_map(linear):
    x, other = picture(0, 0, 0, 0), picture(1, 1, 1, 0)
    goal = torch.tensor([1])
    for order, expected in (((4.0, 3, 2, 9), 1), ((1.0, 2, 3, 9), 2), ((1.0, 1, 5, 9), 2)):
        a = picture(*order)
        assert counterfactuals.count_swapped(linear, x, other, goal, a).item() == expected
    assert counterfactuals.count_swapped(linear, x, picture(0, 0, 0, 1), goal, x).item() == -1
    slow = picture(1, 2, 3, 9)
    assert counterfactuals.count_swapped(linear, x, other, goal, slow, most=1).item() == -1


def table_model(x):
    return torch.stack([torch.zeros_like(x[:, 0]), x[:, 0] + 2 * x[:, 1] - 3], 1)


@pytest.fixture
def records():
    return torch.randn(40, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0)) + 1


def test_the_nearest_record_is_the_nearest_of_the_goal(records):
    x = torch.zeros(1, 3, dtype=torch.double)
    found = counterfactuals.nearest_records(table_model, x, torch.tensor([1]), records)
    wanted = records[table_model(records).argmax(1) == 1]
    distance = measure_distance(x, wanted, records)[0]
    assert torch.equal(found.x[0], wanted[distance.argmin()])
    none = counterfactuals.nearest_records(table_model, x, torch.tensor([1]), records[:1] * 0)
    assert not none.reached.any()
    assert torch.equal(none.x, x)


def test_distance_is_in_units_of_the_mean_absolute_deviation(records):
    scale = (records - records.median(0).values).abs().mean(0)
    found = measure_distance(records[:2], records[:3], records)
    torch.testing.assert_close(found[1, 2], ((records[1] - records[2]).abs() / scale).mean())


def test_as_few_features_change_as_reach_the_goal(records):
    x = torch.zeros(2, 3, dtype=torch.double)
    x[1, 1] = 1.4  # one feature is enough here
    goal = torch.tensor([1, 1])
    found = counterfactuals.change_records(table_model, x, goal, records)
    assert found.reached.all()
    assert (table_model(found.x).argmax(1) == goal).all()
    assert (found.x != x).sum(1).tolist() == [1, 1] or (found.x != x).sum(1)[0] == 2
    again = counterfactuals.change_records(table_model, x, goal, records)
    assert torch.equal(found.x, again.x)


def test_fixed_features_do_not_change(records):
    x = torch.zeros(1, 3, dtype=torch.double)
    goal = torch.tensor([1])
    found = counterfactuals.change_records(table_model, x, goal, records, fixed=[1])
    assert torch.equal(found.x[:, 1], x[:, 1])
    useless = counterfactuals.change_records(table_model, x, goal, records, fixed=[0, 1])
    assert not useless.reached.any()
    assert torch.equal(useless.x, x)


def test_a_record_among_its_like_is_plausible_and_one_far_away_is_not(records):
    ranks = counterfactuals.rank_distance(torch.cat([records.median(0).values[None], records[:1] + 50]), records)
    assert ranks[0] < 0.3
    assert ranks[1] == 1


def test_what_is_refused(linear, records, as_users_run):
    goal = torch.tensor([1])
    with pytest.raises(ValueError, match="x must lie in the span"):
        counterfactuals.change_pixels(linear, picture(0, 2, 0, 0), goal)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        counterfactuals.change_pixels(linear, picture(0, 1, 0, 0), goal, steps=0)
    with pytest.raises(ValueError, match="one shape"):
        counterfactuals.count_swapped(
            linear, picture(0, 0, 0, 0), torch.zeros(1, 1, 3, 3).double(), goal, picture(0, 0, 0, 0)
        )
    with pytest.raises(ValueError, match="at least one feature"):
        counterfactuals.change_records(table_model, records[:1], goal, records, fixed=[0, 1, 2])
    with pytest.raises(ValueError, match="fewer than the records"):
        counterfactuals.rank_distance(records, records, neighbours=40)
