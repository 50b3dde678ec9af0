"""Mechanisms in closed form: against brute force, and then every exact method against them."""

from itertools import permutations

import pytest
import torch

from xnb import attribute
from xnb.access.hooks import capture_attention
from xnb.access.score import logits, score
from xnb.models.known import Additive, Gate, OneHead, Saturation, Xor

TABLES = [Additive, Gate, Saturation, Xor]
# Midpoints at a kink miss by up to one step; without a kink the quadrature is exact.
KNOBS = {"integrated_gradients": {"steps": 2000, "quadrature": "midpoint"}}
every_table = pytest.mark.parametrize("kind", TABLES)


def rows(kind, seed):
    width = 3 if kind is Additive else 2
    return torch.randn(20, width, generator=torch.Generator().manual_seed(seed)).double()


def targets(x):
    return torch.ones(len(x), dtype=torch.long)


def test_the_functions():
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1], [-1, 3], [2, 3]])
    assert Gate()(x).flatten().tolist() == [0, 0, 0, 1, -3, 6]
    assert Saturation()(x).flatten().tolist() == [0, 1, 1, 1, 1, 1]
    assert Xor()(x).flatten().tolist() == [0, 1, 1, 0, 4, 1]
    assert Additive([1.0, 2.0], [3.0, 4.0])(torch.tensor([[5.0, 6]])).item() == 5 + 12 + 75 + 144


@every_table
def test_methods_that_promise_exactness_agree(kind):
    model, x, baseline = kind().double().eval(), rows(kind, 0), rows(kind, 1)
    for name, expected in model.truth(x, baseline).items():
        knobs = {} if name.startswith("gradient") else {"baseline": baseline} | KNOBS.get(name, {})
        tolerance = 2e-3 if name in KNOBS else 1e-10
        found = attribute(model, x, targets(x), name, **knobs)
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@every_table
def test_complete_ones_sum_to_the_change_of_score(kind):
    model, x, baseline = kind().double().eval(), rows(kind, 2), rows(kind, 3)
    truth, change = model.truth(x, baseline), score(model, x, targets(x)) - score(model, baseline, targets(x))
    for name in ("integrated_gradients", "exact_shapley"):
        torch.testing.assert_close(truth[name].sum(1), change)


@every_table
def test_shapley_values_by_hand(kind):
    """The mean over all orders of what each feature adds when it joins."""
    model, x, baseline = kind().double(), rows(kind, 4), rows(kind, 5)
    total, orders = torch.zeros_like(x), list(permutations(range(x.shape[1])))
    for order in orders:
        now = baseline.clone()
        for j in order:
            before, now[:, j] = model(now), x[:, j]
            total[:, j] += (model(now) - before)[:, 0]
    torch.testing.assert_close(model.truth(x, baseline)["exact_shapley"], total / len(orders))


def test_saturation_hides_both_and_xor_hides_evidence():
    """With both features at 1: slope and ablation give zero, the complete ones a half each, or nothing for XOR."""
    x, baseline = torch.ones(1, 2, dtype=torch.double), torch.full((1, 2), 0.0, dtype=torch.double)
    full = Saturation().double().truth(x, baseline)
    assert full["feature_ablation"].tolist() == [[0, 0]]
    assert full["exact_shapley"].tolist() == full["integrated_gradients"].tolist() == [[0.5, 0.5]]
    assert attribute(Saturation().double().eval(), x, targets(x), "gradient").tolist() == [[0, 0]]
    both = Xor().double().truth(x, baseline)
    assert both["exact_shapley"].tolist() == [[0, 0]]
    assert both["feature_ablation"].tolist() == [[-1, -1]]


@pytest.fixture
def tokens():
    return torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0)).double()


def test_attention_in_closed_form(tokens):
    model = OneHead().double().eval()
    for name, expected in model.truth(tokens).items():
        torch.testing.assert_close(attribute(model, tokens, targets(tokens), name), expected)
    torch.testing.assert_close(model.shares(tokens).sum(1, keepdim=True), logits(model, tokens))
    with capture_attention(model) as seen:
        model(tokens)
    torch.testing.assert_close(seen[0].weights[:, 0], model.weights(tokens))


def test_leaving_a_token_out(tokens):
    model = OneHead().double()
    drops = [model(tokens) - model(tokens[:, [i for i in range(5) if i != k]]) for k in range(5)]
    torch.testing.assert_close(model.left_out(tokens), torch.cat(drops, 1))


def test_attention_alone_does_not_say_what_a_token_is_worth(tokens):
    """A token of great weight whose value the read-out does not ask for moves nothing: weights rank otherwise."""
    x = torch.tensor([[[3.0, 0, 0], [0.0, 1, 0], [0, -1, 0]]], dtype=torch.double)
    model = OneHead().double()
    assert model.weights(x)[0, 0].argmax() == 0
    assert model.shares(x)[0, 0] == 0
    assert model.left_out(x)[0, 1] > 0 > model.left_out(x)[0, 2]


@pytest.mark.parametrize("kind", [*TABLES, OneHead])
def test_nothing_is_trained(kind):
    assert not any(parameter.requires_grad for parameter in kind().parameters())
