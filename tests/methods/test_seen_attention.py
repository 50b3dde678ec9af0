"""Attention that is seen in part never passes as all, and a softmax over anything else is not taken for attention.

Tests: xnb.access.attention.attention_check, xnb.access.attention.attention_products
"""

import math

import pytest
import torch
from torch import nn

from xnb import attribute

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
METHODS = ["raw_attention", "rollout", "chefer", "attention_flow", "gradient_weighted_attention"]
TOKENS, WIDTH = 5, 6
X = torch.randn(3, TOKENS, WIDTH, dtype=torch.double, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2])


class Mix(nn.Module):
    """One layer of attention with two heads, its sum written in one of many ways."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.qkv, self.heads = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(2, 2)
        self.gate = nn.Linear(WIDTH, 4)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        q, k, v = self.qkv(x).view(len(x), -1, 3, 2, 3).permute(2, 0, 3, 1, 4)
        mixed = getattr(self, self.kind)(x, q, k, v)
        return x + mixed.transpose(1, 2).flatten(2) if mixed.ndim == 4 else x + mixed

    def scores(self, q, k):
        return q @ k.mT / math.sqrt(3)

    def plain(self, x, q, k, v):
        return self.scores(q, k).softmax(-1) @ v

    def fused(self, x, q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v)

    def einsum(self, x, q, k, v):
        return torch.einsum("bhnm,bhmd->bhnd", torch.einsum("bhnd,bhmd->bhnm", q, k).div(math.sqrt(3)).softmax(-1), v)

    def dots(self, x, q, k, v):
        return torch.einsum("...nm,...md->...nd", [self.scores(q, k).softmax(-1), v])

    def values_first(self, x, q, k, v):
        return (v.mT @ self.scores(q, k).softmax(-1).mT).mT

    def by_hand(self, x, q, k, v):
        e = (self.scores(q, k) - self.scores(q, k).amax(-1, keepdim=True)).exp()
        return (e / e.sum(-1, keepdim=True)) @ v

    def causal(self, x, q, k, v):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return self.scores(q, k).masked_fill(later, -math.inf).softmax(-1) @ v

    def dropout(self, x, q, k, v):
        return nn.functional.dropout(self.scores(q, k).softmax(-1), 0.5, self.training) @ v

    def multi_query(self, x, q, k, v):
        return torch.einsum("bhnm,bmd->bhnd", self.scores(q, k[:, :1]).softmax(-1), v[:, 0])

    def talking(self, x, q, k, v):
        return self.heads(self.scores(q, k).softmax(-1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2) @ v

    def channel_gate(self, x, q, k, v):
        return x * q[:, 0].softmax(-1).repeat(1, 1, 2)

    def expert_mixture(self, x, q, k, v):
        outputs = torch.stack([expert(x) for expert in self.experts], 2)
        return torch.einsum("bne,bned->bnd", self.gate(x).softmax(-1), outputs)

    def sigmoid(self, x, q, k, v):
        return self.scores(q, k).sigmoid() @ v

    def linear(self, x, q, k, v):
        q, k = nn.functional.elu(q) + 1, nn.functional.elu(k) + 1
        return q @ (k.mT @ v) / (q @ k.sum(2)[..., None])

    def efficient(self, x, q, k, v):
        return q.softmax(-1) @ (k.softmax(-2).mT @ v)

    def channels(self, x, q, k, v):
        return ((q.mT @ k).softmax(-1) @ v.mT).mT

    def product_and_sum(self, x, q, k, v):
        return (self.scores(q, k).softmax(-1)[..., None] * v[:, :, None]).sum(3)

    def sparse(self, x, q, k, v):
        scores = self.scores(q, k).clamp(min=0) + 0.1
        return (scores / scores.sum(-1, keepdim=True)) @ v


def build(*kinds):
    with torch.random.fork_rng():
        model = nn.Sequential(*map(Mix, kinds), nn.Flatten(), nn.Linear(TOKENS * WIDTH, 3)).double().eval()
        torch.manual_seed(1)
        for weights in model.parameters():
            nn.init.normal_(weights, 0, 0.5)
    return model


PLAIN = ["fused", "einsum", "dots", "values_first", "by_hand", "dropout"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", PLAIN)
def test_one_function_has_one_answer_however_it_is_written(kind, name):
    expected = attribute(build("plain", "plain"), X, TARGET, name)
    for kinds in (("plain", kind), (kind, "plain")):
        torch.testing.assert_close(attribute(build(*kinds), X, TARGET, name), expected, **CLOSE)


@pytest.mark.parametrize("kind", ["causal", "multi_query", "talking"])
def test_other_forms_are_seen_in_full(kind):
    """Raw attention of the first of two layers is the mean over heads of the coefficients of the values."""
    model = build(kind, "plain")
    first = model[0]
    q, k, _ = first.qkv(X).view(3, -1, 3, 2, 3).permute(2, 0, 3, 1, 4)
    scores = first.scores(q, k[:, :1] if kind == "multi_query" else k)
    if kind == "causal":
        scores = scores.masked_fill(torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1), -math.inf)
    weights = scores.softmax(-1)
    if kind == "talking":
        weights = torch.einsum("gh,bhnm->bgnm", first.heads.weight, weights) + first.heads.bias[:, None, None]
    expected = weights.mean(1).mean(1)  # the head reads all five tokens
    found = attribute(model, X, TARGET, "raw_attention", block=0)
    torch.testing.assert_close(found, expected.detach()[..., None], **CLOSE)


@pytest.mark.parametrize("kinds", [("{}", "plain"), ("plain", "{}"), ("{}", "fused"), ("fused", "{}")])
@pytest.mark.parametrize("kind", ["sigmoid", "linear", "efficient", "channels", "product_and_sum", "sparse"])
def test_what_is_missed_is_refused(kind, kinds):
    model = build(*(name.format(kind) for name in kinds))
    with pytest.raises(ValueError, match=r"rollout: .*\n  got: .*\n  try: ") as refusal:
        attribute(model, X, TARGET, "rollout")
    place = kinds.index("{}")
    assert f"in {place}" in str(refusal.value)
    line = str(refusal.value).split("try: ")[1].split("#")[0]
    assert eval(line, {"xnb": __import__("xnb"), "model": model, "x": X, "target": TARGET}).shape == X.shape


@pytest.mark.parametrize("kind", ["channel_gate", "expert_mixture"])
@pytest.mark.parametrize("name", METHODS)
def test_gates_and_experts_are_no_attention(kind, name):
    """They change each token by itself: the attention in front of them is all there is."""
    model = build("plain", kind)
    weights = attribute(build("plain"), X, TARGET, "raw_attention")
    if name == "raw_attention":
        torch.testing.assert_close(attribute(model, X, TARGET, name), weights, **CLOSE)
    assert attribute(model, X, TARGET, name).shape == (3, TOKENS, 1)
    for kinds in ((kind, "plain"), ("plain", kind, "plain")):
        assert attribute(build(*kinds), X, TARGET, name).shape == (3, TOKENS, 1)
