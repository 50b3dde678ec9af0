import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

from xnb import models
from xnb.metrics import attention_tests


def weights(*shape, seed=0):
    return torch.softmax(2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double), 1)


def test_divergence_is_that_of_scipy():
    a, b = weights(5, 7), weights(5, 7, seed=1)
    expected = jensenshannon(a.numpy(), b.numpy(), axis=1) ** 2
    np.testing.assert_allclose(attention_tests.divergence(a, b), expected, rtol=1e-9)
    torch.testing.assert_close(attention_tests.divergence(a, b), attention_tests.divergence(b, a))


def test_divergence_of_equal_and_of_disjoint_weights():
    a = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.double)
    assert float(attention_tests.divergence(a, a)) == 0
    assert float(attention_tests.divergence(a, a.flip(1))) == pytest.approx(math.log(2), abs=1e-9)


def test_moved_is_total_variation():
    values = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]], dtype=torch.double)
    first, second = torch.eye(2, dtype=torch.double)[:, None]
    assert float(attention_tests.moved(first, second, values)) == pytest.approx(0.25)  # (1/4, 3/4) and (1/2, 1/2)
    assert float(attention_tests.moved(first, first, values)) == 0


def test_seen_are_the_weights_of_the_formula():
    torch.manual_seed(0)
    net, x = models.bag_classifier().eval(), torch.rand(3, 5, 1, 8, 8)
    a, h = attention_tests.seen(net, x)
    torch.testing.assert_close(h, net.encoder(x))
    ratings = net.pool.rate(torch.tanh(net.pool.look(h)))[..., 0]
    torch.testing.assert_close(a, torch.softmax(ratings, 1))
    torch.testing.assert_close(net.head(torch.einsum("bn,bnd->bd", a, h)), net(x))


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.3])
def test_farthest_is_the_best_of_all_weights(budget):
    """Of two tokens all weights can be tried."""
    a = torch.tensor([[0.7, 0.3]], dtype=torch.double)
    values = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]], dtype=torch.double)
    first = torch.linspace(0, 1, 10_001, dtype=torch.double)
    every = torch.stack([first, 1 - first], 1)
    kept = attention_tests.moved(a.expand_as(every), every, values.expand(len(every), -1, -1)) <= budget
    best = float(attention_tests.divergence(a.expand_as(every), every)[kept].max())
    found = float(attention_tests.farthest(a, values, budget, steps=400))
    assert 0.6 * best < found < 1.05 * best  # as fine as the weights that were tried


def test_farthest_goes_all_the_way_where_nothing_can_move():
    a, values = weights(4, 9), torch.ones(4, 9, 3, dtype=torch.double)
    assert float(attention_tests.farthest(a, values, 0.01).min()) > 0.6


def test_farthest_of_a_single_token_is_nowhere():
    a, values = torch.ones(3, 1, dtype=torch.double), torch.randn(3, 1, 2, dtype=torch.double)
    assert float(attention_tests.farthest(a, values, 0.3).abs().max()) < 1e-9


def test_rival_weighs_otherwise_and_decides_the_same():
    """Half of what a token holds is the same for all tokens, and the head reads nothing else."""
    torch.manual_seed(0)
    pool, head, tokens = models.AttentionPool(6), nn.Linear(6, 2), torch.randn(40, 8, 6)
    tokens[:, :, :3] = tokens[:, :1, :3]
    head.weight.data[:, 3:] = 0
    before = {name: value.clone() for name, value in pool.state_dict().items()}
    other = attention_tests.rival(pool, head, tokens, steps=300)
    assert all(torch.equal(before[name], value) for name, value in pool.state_dict().items())
    a, b = (attention_tests.seen(each, tokens)[0].detach() for each in (pool, other))
    assert float(attention_tests.divergence(a, b).mean()) > 0.2
    assert float(attention_tests.moved(a, b, head(tokens).detach()).max()) < 1e-5


def test_a_rival_that_pays_more_moves_less():
    torch.manual_seed(0)
    pool, head, tokens = models.AttentionPool(6), nn.Linear(6, 2), torch.randn(40, 8, 6)
    a, values, shifts = attention_tests.seen(pool, tokens)[0].detach(), head(tokens).detach(), []
    for price in (0.0, 50.0):
        b = attention_tests.seen(attention_tests.rival(pool, head, tokens, price=price), tokens)[0].detach()
        shifts.append(float(attention_tests.moved(a, b, values).mean()))
    assert shifts[1] < 0.5 * shifts[0]


def test_renewed_has_forgotten_all_and_leaves_the_model():
    torch.manual_seed(0)
    net = models.bag_classifier().eval()
    before, state = net.head.weight.clone(), torch.get_rng_state()
    other = attention_tests.renewed(net, seed=1)
    assert torch.equal(net.head.weight, before)
    assert torch.equal(state, torch.get_rng_state())
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in pairs)


def test_readers_are_the_formula():
    torch.manual_seed(0)
    net, x, a = attention_tests.Readers(4, 3, 2, hidden=5), torch.randn(2, 6, 4), torch.rand(2, 6, 2)
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
    net = attention_tests.taught(x[:400], a[:400], y[:400], steps=200)
    assert torch.equal(state, torch.get_rng_state())
    right = (net(x[400:], a[400:]).argmax(2) == y[400:, None]).double().mean(0)
    assert right[0] > 0.97
    assert right[0] > right[1] > right[2]
    assert 0.35 < right[2] < 0.65
