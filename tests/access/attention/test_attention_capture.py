"""Attention is captured as it was used, in whatever way it is written.

Tests: xnb.access.attention.fused_attention
"""

import pytest
import torch
from attention_networks import KINDS, SEQUENCES, build_network
from torch import nn
from torch.nn import functional as F

import xnb
from xnb.access.hooks import attention_proof, capture_attention


@pytest.mark.parametrize("kind", KINDS)
def test_captured_weights_are_those_that_the_model_used(kind):
    model, x = build_network(kind)
    proof = attention_proof(model, x)
    assert len(proof) >= 1
    assert proof[["rows", "reproduced", "logits"]].to_numpy().max() < 1e-12
    with capture_attention(model) as layers:
        model(x)
    assert [layer.layer for layer in layers] == proof["layer"].tolist()
    assert all(layer.weights.shape[0] == len(x) for layer in layers)
    torch.testing.assert_close(layers[0].out, layers[0].weights @ layers[0].values)


@pytest.mark.parametrize("kind", ["masks", "grouped"])
def test_hidden_keys_get_no_weight(kind):
    model, x = build_network(kind)
    with capture_attention(model) as layers:
        model(x)
    assert layers[0].weights.triu(1).abs().max() == 0
    assert layers[0].weights.abs().max() > 0.2


def test_nothing_is_left_behind():
    model, x = build_network("torchvision")
    before = model(x)
    with pytest.raises(RuntimeError), capture_attention(model):
        model(x[:, :1])
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)
    with capture_attention(model) as layers:
        model(x)
        model(x[:1])
    assert [len(layer.weights) for layer in layers] == [1, 1]  # of the last pass


def test_a_network_without_attention_has_no_proof():
    with pytest.raises(ValueError, match="no attention was seen"):
        attention_proof(nn.Linear(6, 3).double().eval(), SEQUENCES[:, 0])


def test_extra_keys_are_refused():
    mix = nn.MultiheadAttention(6, 2, batch_first=True, add_bias_kv=True).double().eval()
    with capture_attention(mix), pytest.raises(ValueError, match="bias_k"):
        mix(SEQUENCES, SEQUENCES, SEQUENCES)


class _OneHead(nn.Module):
    """Attention in one piece, with an axis of heads or without."""

    def __init__(self, heads):
        super().__init__()
        self.embed, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.heads = heads

    def forward(self, x):
        tokens = self.embed(x)
        queries = tokens[:, None] if self.heads else tokens
        out = F.scaled_dot_product_attention(queries, queries, queries)
        return self.head((tokens + (out[:, 0] if self.heads else out)).mean(1))


@pytest.mark.parametrize("method", ["raw_attention", "rollout", "chefer", "attention_flow", "value_weighted_attention"])
def test_an_axis_of_heads_may_be_missing(method):
    """The same network written with `(B, 1, N, d)` and with `(B, N, d)` has the same map."""
    torch.manual_seed(0)
    without, with_axis = _OneHead(False).eval(), _OneHead(True).eval()
    with_axis.load_state_dict(without.state_dict())
    x, target = torch.rand(2, 6, 4), torch.tensor([0, 2])
    assert torch.equal(without(x), with_axis(x))
    expected = xnb.attribute(with_axis, x, target, method)
    torch.testing.assert_close(xnb.attribute(without, x, target, method), expected)
