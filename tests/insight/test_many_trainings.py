"""Many networks trained at once are those that are trained one by one.

Tests: xnb.insight.influence.many_trainings
"""

import pytest
import torch
from logistic import draw_part
from torch.nn import functional as F

from xnb import models
from xnb.insight.influence import train_many


def make(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.Net(in_features=4, hidden=(5,), classes=3).double().eval()


def train_alone(part, weights, seed, steps):
    net = make(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        (weights * F.cross_entropy(net(part.x), part.y, reduction="none")).mean().backward()
        optimizer.step()
    return net


def test_each_network_is_the_one_that_is_trained_alone():
    part, test = draw_part(12), draw_part(5, seed=1)
    weights = torch.ones(3, 12, dtype=torch.double)
    weights[1, 4] = 0
    many = train_many(make, part, weights, [0, 0, 7], steps=20)
    for number, seed in enumerate((0, 0, 7)):
        alone = train_alone(part, weights[number], seed, 20)
        torch.testing.assert_close(many.logits(test.x)[number], alone(test.x).detach())
        torch.testing.assert_close(many.take(number)(test.x), alone(test.x))
    assert not torch.equal(many.logits(test.x)[0], many.logits(test.x)[1])


def test_a_weight_of_zero_leaves_an_input_out():
    part = draw_part(12)
    other = draw_part(12)
    other.x[4] = 100.0
    weights = torch.ones(1, 12, dtype=torch.double)
    weights[0, 4] = 0
    one, two = (train_many(make, each, weights, [0], steps=5).logits(part.x[:3]) for each in (part, other))
    assert torch.equal(one, two)


def test_what_is_refused(as_users_run):
    part = draw_part(4)
    with pytest.raises(ValueError, match="a seed for each of the 2 rows"):
        train_many(make, part, torch.ones(2, 4, dtype=torch.double), [0])
    with pytest.raises(ValueError, match="without buffers"):
        train_many(lambda seed: models.SmallCNN().eval(), part, torch.ones(1, 4, dtype=torch.double), [0])
