"""Layer-wise relevance propagation through attention.

Tests: xnb.methods.lrp_rules
"""

import pytest
import torch
from attention_networks import SEQUENCES, build_network
from networks import patches
from torch import nn
from torch.nn import functional as F

from xnb import attribute


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "epsilon_plus"])
@pytest.mark.parametrize("kind", ["ours", "torchvision"])
def test_lrp_is_conserved_where_nothing_is_added(kind, composite):
    """Attention weights and deviations are constants, so without biases and positions no relevance is lost."""
    model, x = build_network(kind)
    for name, weights in model.named_parameters():
        if any(word in name for word in ("bias", "pos", "token")):
            nn.init.zeros_(weights)
    target = torch.tensor([0, 1, 2])
    a = attribute(model, x, target, "lrp", composite=composite)
    scores = model(x).gather(1, target[:, None])[:, 0].detach()
    torch.testing.assert_close(a.flatten(1).sum(1), scores, rtol=2e-3, atol=2e-4)


def test_conservative_lrp_is_gradient_times_input_with_constants_in_the_right_places():
    """Without biases, epsilon times nothing else: detach the weights of attention and the deviation of layer norms."""
    x = SEQUENCES[:, :4]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        qkv, head = nn.Linear(6, 18, bias=False).double(), nn.Linear(6, 3, bias=False).double()

    def forward(x):
        q, k, v = qkv(F.layer_norm(x, (6,))).chunk(3, 2)
        return head(F.scaled_dot_product_attention(q, k, v).mean(1))

    def with_constants(x):
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        q, k, v = qkv(centred / deviation.detach()).chunk(3, 2)
        return head((torch.softmax(q @ k.transpose(1, 2) * 6**-0.5, -1).detach() @ v).mean(1))

    target = torch.tensor([0, 1, 2, 0])
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(with_constants(leaf).gather(1, target[:, None]).sum(), leaf)
    a = attribute(forward, x, target, "lrp", composite="epsilon")
    torch.testing.assert_close(a, slope * x, rtol=1e-3, atol=1e-5)


def test_attn_lrp_hands_relevance_to_queries_and_keys(x, target):
    model = patches()
    plain, attending = (attribute(model, x, target, "lrp", composite=name) for name in ("epsilon", "attn_lrp"))
    assert (plain - attending).abs().max() > 0.01 * plain.abs().max()
