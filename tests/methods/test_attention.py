"""Each method on attention is its formula.

Slow twins: raw_attention, value_weighted_attention, rollout, attention_flow, chefer
Slow twins: gradient_weighted_attention, legrad, leave_one_out
Tests: xnb.methods.attention_flow, xnb.methods.attention_pass
"""

import pytest
import reference
import torch
from attention_networks import build_network
from networks import patches, pooling
from torch import nn

import xnb
from xnb import METHODS, attribute
from xnb.access.hooks import capture_attention
from xnb.models.attention_pooling import AttentionPool

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
MEAN = torch.full((9,), 1 / 9, dtype=torch.double)


def capture_weights_and_gradients(model, x, target):
    """Weights and gradients of one input's layers, by torch alone once they are captured."""
    with capture_attention(model) as layers:
        score = model(x)[0, target]
        slopes = torch.autograd.grad(score, [layer.weights for layer in layers])
    return [layer.weights[0].detach() for layer in layers], [slope[0] for slope in slopes]


def on_patches(attributions):
    return attributions.view(1, 3, 3).repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.mark.parametrize("row", range(3))
def test_methods_are_their_formulas(row, x, target):
    model, one, c = patches(), x[row : row + 1], target[row : row + 1]
    weights, slopes = capture_weights_and_gradients(model, one, c[0])
    with capture_attention(model) as layers:
        model(one)
    lengths = layers[-1].values[0].norm(dim=2)
    expected = {
        "raw_attention": MEAN @ weights[-1].mean(0),
        "value_weighted_attention": MEAN @ torch.einsum("hnm,hm->nm", weights[-1], lengths) / 2,
        "rollout": reference.rollout(weights, MEAN),
        "gradient_weighted_attention": torch.einsum("hnm,hnm->m", weights[-1], slopes[-1]),
        "chefer": reference.chefer(weights, slopes, MEAN),
        "legrad": reference.legrad(model, one, c[0], capture_attention),
    }
    for name, attributions in expected.items():
        torch.testing.assert_close(attribute(model, one, c, name)[0], on_patches(attributions), **CLOSE, msg=name)
    flow = reference.attention_flow(weights, MEAN)
    torch.testing.assert_close(attribute(model, one, c, "attention_flow")[0], on_patches(flow), rtol=1e-7, atol=1e-7)


def test_gradient_weighted_attention_is_the_values_along_the_gradient(x, target):
    """sum_j a_j (slope at the output) . v_j is the slope times the output."""
    model = patches()
    with capture_attention(model) as layers:
        scores = model(x).gather(1, target[:, None]).sum()
        mixed = layers[-1]
        (slope,) = torch.autograd.grad(scores, [mixed.weights], retain_graph=True)
    a = attribute(model, x, target, "gradient_weighted_attention")[:, 0, ::2, ::2].flatten(1)
    torch.testing.assert_close(a, torch.einsum("bhnm,bhnm->bm", mixed.weights.detach(), slope), **CLOSE)


def test_the_class_token_is_recognised_by_the_gradients():
    """Rollout of torchvision's network is the class token's row; an average over patches reads all rows."""
    model, x = build_network("torchvision")
    weights, _ = capture_weights_and_gradients(model, x[:1], 1)
    first = torch.zeros(17, dtype=torch.double)
    first[0] = 1
    expected = reference.rollout(weights, first)[1:].view(4, 4)
    found = attribute(model, x[:1], torch.tensor([1]), "rollout")[0, 0, ::4, ::4]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_leave_one_out_is_brute_force(x, target):
    model = pooling()
    tokens = model[:4](x)
    for gated in (False, True):
        model[4] = AttentionPool(8, 4, gated=gated).double().eval()
        whole = model(x).gather(1, target[:, None])[:, 0]
        rest = [
            model[4:](tokens[:, [j for j in range(9) if j != k]]).gather(1, target[:, None])[:, 0] for k in range(9)
        ]
        drops = torch.stack([whole - score for score in rest], 1).detach()
        a = attribute(model, x, target, "leave_one_out")[:, 0, ::2, ::2].flatten(1)
        torch.testing.assert_close(a, drops, rtol=1e-10, atol=1e-12)


def test_leave_one_out_of_a_contrast_is_the_difference_of_both_classes(x):
    model = pooling()
    own, rival = (attribute(model, x, k, "leave_one_out") for k in (1, 0))
    found = attribute(xnb.adapters.contrast(model, 1, 0), x, 1, "leave_one_out")
    torch.testing.assert_close(found, own - rival, rtol=1e-10, atol=1e-12)


def test_leave_one_out_refuses_what_has_no_closed_form(x, target):
    model = pooling()
    model.insert(5, nn.ReLU().eval())
    with pytest.raises(ValueError, match="head must be linear"):
        attribute(model, x, target, "leave_one_out")
    with pytest.raises(ValueError, match="one head and one query"):
        attribute(patches(), x, target, "leave_one_out")


def test_tables_and_bags_keep_their_shape():
    table = torch.randn(4, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))

    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.pool, self.head = nn.Linear(1, 4), AttentionPool(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.pool(torch.tanh(self.up(x[..., None]))))

    class Bag(Features):
        def forward(self, x):
            return super().forward(x.mean((2, 3, 4)))

    target = torch.tensor([0, 1, 2, 0])
    for model, x in ((Features(), table), (Bag(), table[:, :, None, None, None].expand(-1, -1, 1, 2, 2))):
        a = attribute(model.double().eval(), x, target, "leave_one_out")
        assert a.shape == (4, 6, *[1] * (x.ndim - 2))


def test_refusals(x, target, model):
    with pytest.raises(ValueError, match="no attention was seen"):
        attribute(model, x, target, "rollout")
    with pytest.raises(ValueError, match=r"block must lie in \[-2, 2\)"):
        attribute(patches(), x, target, "raw_attention", block=2)
    with pytest.raises(ValueError, match=r"head must lie in \[0, 2\)"):
        attribute(patches(), x, target, "raw_attention", head=2)
    with pytest.raises(ValueError, match="no module of that name"):
        attribute(patches(), x, target, "token_cam", layer="9")


def test_all_methods_in_one_call(x, target):
    model = patches()
    names = [name for name in METHODS if METHODS.cards[name].family == "attention" and name != "leave_one_out"]
    found = xnb.explain(model, x, target, methods=names)
    for name in names:
        torch.testing.assert_close(found.attributions[name], attribute(model, x, target, name), **CLOSE)
