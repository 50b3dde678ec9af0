"""Representer points: the sum over training inputs is the logit; TRAK and subsets beside slow forms.

Tests: xnb.insight.influence.representers, xnb.insight.influence.projected_features, xnb.insight.influence.subsets
"""

import pytest
import torch
from logistic import draw_part, fit_weighted
from scipy.stats import spearmanr
from torch.nn import functional as F

from xnb.access.score import logits
from xnb.insight import influence
from xnb.insight.influence.representers import fit_head, read_features


@pytest.fixture
def train():
    return draw_part(30)


@pytest.fixture
def test():
    return draw_part(7, seed=1)


def test_the_numbers_of_a_row_sum_to_the_logit(train, test, small):
    found = influence.representer_points(small, train, test, layer="relu1", damping=0.01)
    features, of_test = (read_features(small, part, "relu1") for part in (train, test))
    head = fit_head(features, train.y, 3, 0.01)
    expected = (of_test @ head.T).gather(1, test.y[:, None])[:, 0]
    torch.testing.assert_close(found.sum(1), expected, rtol=1e-5, atol=1e-6)


def test_the_last_layer_is_at_its_minimum(train, small):
    features = read_features(small, train, "relu1")
    head = fit_head(features, train.y, 3, 0.01).requires_grad_()
    value = F.cross_entropy(features @ head.T, train.y) + 0.01 * head.square().sum()
    assert torch.autograd.grad(value, head)[0].abs().max() < 1e-8
    linear = fit_weighted(train, torch.ones(len(train)), 0.02)
    ours = fit_head(torch.cat([train.x, torch.ones(30, 1)], 1), train.y, 3, 0.01)
    torch.testing.assert_close(ours[:, :-1], linear.weight.detach(), rtol=1e-5, atol=1e-7)


def margins(net, part):
    p = logits(net, part.x).softmax(1).gather(1, part.y[:, None])[:, 0]
    return (p / (1 - p)).log()


def test_trak_is_the_formula_of_the_paper(train, test, small):
    """Without a projection, as the network is smaller; gradients of the log-odds one by one."""
    features = {}
    for name, part in (("train", train), ("test", test)):
        rows = []
        for x, y in zip(part.x, part.y, strict=True):
            p = small(x[None]).softmax(1)[0, y]
            gradients = torch.autograd.grad((p / (1 - p)).log(), [*small.parameters()])
            rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
        features[name] = torch.stack(rows)
    moments = features["train"].T @ features["train"]
    moments += 1e-3 * moments.diagonal().mean() * torch.eye(len(moments))
    kernel = features["test"] @ torch.linalg.inv(moments) @ features["train"].T
    p = small(train.x).softmax(1).gather(1, train.y[:, None])[:, 0].detach()
    found = influence.trak(small, train, test, damping=1e-3)
    torch.testing.assert_close(found, kernel * (1 - p), rtol=1e-5, atol=1e-8)


def test_trak_averages_over_trainings_and_draws_a_projection_for_each(train, test, small):
    both = influence.trak([small, small], train, test, size=8)
    assert not torch.equal(both, influence.trak(small, train, test, size=8))
    torch.testing.assert_close(influence.trak([small, small], train, test), influence.trak(small, train, test))
    assert torch.equal(both, influence.trak([small, small], train, test, size=8))
    assert not torch.equal(both, influence.trak([small, small], train, test, size=8, seed=1))


def test_subsets_hold_their_share_and_differ():
    subsets = influence.draw_subsets(20, 30, share=0.3)
    assert (subsets.sum(1) == 9).all()
    assert len(subsets.unique(dim=0)) == 20
    assert torch.equal(subsets, influence.draw_subsets(20, 30, share=0.3))
    assert not torch.equal(subsets, influence.draw_subsets(20, 30, share=0.3, seed=1))


def test_a_linear_truth_is_found_and_a_reversed_one_too(train):
    generator = torch.Generator().manual_seed(2)
    truth = torch.randn(4, 30, dtype=torch.double, generator=generator)
    subsets = influence.draw_subsets(50, 30)
    outputs = subsets.double() @ truth.T
    torch.testing.assert_close(influence.score_subsets(truth, subsets, outputs), torch.ones(4, dtype=torch.double))
    torch.testing.assert_close(influence.score_subsets(-truth, subsets, outputs), -torch.ones(4, dtype=torch.double))
    noisy = outputs + torch.randn(50, 4, dtype=torch.double, generator=generator)
    found = influence.score_subsets(truth, subsets, noisy)
    expected = [spearmanr((subsets.double() @ truth[b]).numpy(), noisy[:, b].numpy())[0] for b in range(4)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_what_is_refused(train, test, small, as_users_run):
    with pytest.raises(ValueError, match="damping must be positive"):
        influence.representer_points(small, train, test, layer="relu1", damping=0)
    with pytest.raises(ValueError, match="size must be at least 1"):
        influence.trak(small, train, test, size=0)
    with pytest.raises(ValueError, match="at least one training"):
        influence.trak([], train, test)
    with pytest.raises(ValueError, match="share must be between"):
        influence.draw_subsets(3, 10, share=1)
