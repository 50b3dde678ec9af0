"""Tests of attention: closed forms, SciPy, and searches whose result is known."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

from xnb import models
from xnb.metrics.attention_tests import (
    Readers,
    adversarial_divergence,
    jensen_shannon_divergence,
    pairwise_auc,
    read_attention,
    total_variation,
    train_adversary,
    train_readers,
)


def weights(*shape, seed=0):
    return torch.softmax(2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double), 1)


def test_divergence_is_that_of_scipy():
    a, b = weights(5, 7), weights(5, 7, seed=1)
    expected = jensenshannon(a.numpy(), b.numpy(), axis=1) ** 2
    np.testing.assert_allclose(jensen_shannon_divergence(a, b), expected, rtol=1e-9)
    torch.testing.assert_close(jensen_shannon_divergence(a, b), jensen_shannon_divergence(b, a))


def test_divergence_of_equal_and_of_disjoint_weights():
    a = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.double)
    assert float(jensen_shannon_divergence(a, a)) == 0
    assert float(jensen_shannon_divergence(a, a.flip(1))) == pytest.approx(math.log(2), abs=1e-9)


def test_total_variation_of_two_tokens():
    values = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]], dtype=torch.double)
    first, second = torch.eye(2, dtype=torch.double)[:, None]
    assert float(total_variation(first, second, values)) == pytest.approx(0.25)  # (1/4, 3/4) and (1/2, 1/2)
    assert float(total_variation(first, first, values)) == 0


def test_the_weights_that_are_read_are_those_of_the_formula():
    torch.manual_seed(0)
    net, x = models.bag_classifier().eval(), torch.rand(3, 5, 1, 8, 8)
    a, h = read_attention(net, x)
    torch.testing.assert_close(h, net.encoder(x))
    ratings = net.pool.rate(torch.tanh(net.pool.look(h)))[..., 0]
    torch.testing.assert_close(a, torch.softmax(ratings, 1))
    torch.testing.assert_close(net.head(torch.einsum("bn,bnd->bd", a, h)), net(x))


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.3])
def test_adversarial_divergence_is_the_best_of_all_weights(budget):
    """Of two tokens all weights can be tried."""
    a = torch.tensor([[0.7, 0.3]], dtype=torch.double)
    values = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]], dtype=torch.double)
    first = torch.linspace(0, 1, 10_001, dtype=torch.double)
    every = torch.stack([first, 1 - first], 1)
    same_decision = total_variation(a.expand_as(every), every, values.expand(len(every), -1, -1)) <= budget
    best = float(jensen_shannon_divergence(a.expand_as(every), every)[same_decision].max())
    divergence = float(adversarial_divergence(a, values, budget, steps=400))
    assert 0.6 * best < divergence < 1.05 * best  # as fine as the weights that were tried


def test_the_search_goes_all_the_way_where_no_decision_can_change():
    a, values = weights(4, 9), torch.ones(4, 9, 3, dtype=torch.double)
    assert float(adversarial_divergence(a, values, 0.01).min()) > 0.6


def test_starts_depend_on_the_seed_and_on_nothing_else():
    """After a few steps the search is still near to where it began."""
    a, values = weights(3, 6), weights(3, 6, 2, seed=1)
    state = torch.get_rng_state()
    found = [adversarial_divergence(a, values, 0.05, steps=5, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_single_token_leaves_no_other_weights():
    a, values = torch.ones(3, 1, dtype=torch.double), torch.randn(3, 1, 2, dtype=torch.double)
    assert float(adversarial_divergence(a, values, 0.3).abs().max()) < 1e-9


def test_the_adversary_weighs_otherwise_and_decides_the_same():
    """Half of what a token holds is the same for all tokens, and the head reads nothing else."""
    torch.manual_seed(0)
    pool, head, tokens = models.AttentionPool(6), nn.Linear(6, 2), torch.randn(40, 8, 6)
    tokens[:, :, :3] = tokens[:, :1, :3]
    head.weight.data[:, 3:] = 0
    before = {name: value.clone() for name, value in pool.state_dict().items()}
    other = train_adversary(pool, head, tokens, steps=300)
    assert all(torch.equal(before[name], value) for name, value in pool.state_dict().items())
    a, b = (read_attention(each, tokens)[0].detach() for each in (pool, other))
    assert float(jensen_shannon_divergence(a, b).mean()) > 0.2
    assert float(total_variation(a, b, head(tokens).detach()).max()) < 1e-5


def test_an_adversary_that_pays_more_moves_less():
    torch.manual_seed(0)
    pool, head, tokens = models.AttentionPool(6), nn.Linear(6, 2), torch.randn(40, 8, 6)
    a = read_attention(pool, tokens).weights.detach()
    values = head(tokens).detach()
    variations = []
    for price in (0.0, 50.0):
        adversary = train_adversary(pool, head, tokens, price=price)
        b = read_attention(adversary, tokens).weights.detach()
        variations.append(float(total_variation(a, b, values).mean()))
    assert variations[1] < 0.5 * variations[0]


def test_pairs_are_counted():
    values, signs = torch.tensor([[3.0, 1.0, 2.0, 9.0], [1.0, 1.0, 1.0, 1.0]]), torch.tensor([[1.0, -1, -1, 0]] * 2)
    assert pairwise_auc(values, signs).tolist() == [1.0, 0.5]
    assert pairwise_auc(-values, signs).tolist() == [0.0, 0.5]
    assert pairwise_auc(values, signs.abs()).isnan().all()


def test_values_that_know_no_class_get_one_half():
    rng = torch.Generator().manual_seed(0)
    values, signs = torch.rand(5, 9, generator=rng), torch.tensor([1.0, 1, 1, 0, 0, 0, -1, -1, -1]).expand(5, -1)
    both = (pairwise_auc(values, signs) + pairwise_auc(values, -signs)) / 2
    torch.testing.assert_close(both, torch.full((5,), 0.5))


def test_readers_are_the_formula():
    torch.manual_seed(0)
    net, x, a = Readers(4, 3, 2, hidden=5), torch.randn(2, 6, 4), torch.rand(2, 6, 2)
    V, b = net.first.weight.view(2, 5, 4), net.first.bias.view(2, 5)
    for m in range(2):
        pooled = sum(a[:, n, m, None] * torch.tanh(x[:, n] @ V[m].T + b[m]) for n in range(6))
        torch.testing.assert_close(net(x, a)[:, m], pooled @ net.last[m])


def test_a_reader_reads_where_its_weights_point():
    """One piece of each input tells the class; the others are alike. To know which one is to know the answer."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(600, 10, 4, generator=rng), torch.arange(600) % 2
    at = torch.randint(10, (600,), generator=rng)
    x[torch.arange(600), at, 0] = 4.0 * y - 2
    oracle, equal = torch.eye(10)[at], torch.full((600, 10), 0.1)
    elsewhere = torch.eye(10)[(at + 1) % 10]
    state = torch.get_rng_state()
    a = torch.stack([oracle, equal, elsewhere], 2)
    net = train_readers(x[:400], a[:400], y[:400], steps=200)
    assert torch.equal(state, torch.get_rng_state())
    right = (net(x[400:], a[400:]).argmax(2) == y[400:, None]).double().mean(0)
    assert right[0] > 0.97
    assert right[0] > right[1] > right[2]
    assert 0.35 < right[2] < 0.65
