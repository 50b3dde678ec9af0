"""Methods that run the stages of a Transformer one by one are their formulas.

Slow twins: attcat, token_cam, token_occlusion
Tests: xnb.methods.token_occlusion
"""

import pytest
import torch
from attention_networks import build_network
from networks import patches

from xnb import attribute
from xnb.access.hooks import capture_attention
from xnb.models.vit import ViT, from_torchvision

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def test_attcat_by_hand(x, target):
    model, total = patches(), 0
    with capture_attention(model) as layers:
        states = [model.tokens(x)]
        for block in model.blocks:
            states.append(block(states[-1]))
        scores = model.readout(states[-1]).gather(1, target[:, None]).sum()
        slopes = torch.autograd.grad(scores, states[1:])
    for layer, state, slope in zip(layers, states[1:], slopes, strict=True):
        total = total + layer.weights.mean(1).mean(1) * (state * slope).sum(2)
    a = attribute(model, x, target, "attcat")[:, 0, ::2, ::2].flatten(1)
    torch.testing.assert_close(a, total.detach(), **CLOSE)


def test_token_cam_by_hand(x, target):
    model, kept = patches(), {}
    handle = model[4].norm1.register_forward_hook(lambda module, args, out: kept.update(tokens=out))
    scores = model(x).gather(1, target[:, None]).sum()
    handle.remove()
    (slopes,) = torch.autograd.grad(scores, [kept["tokens"]])
    expected = (kept["tokens"] * slopes.mean(1, keepdim=True)).sum(2).clamp(min=0).detach()
    a = attribute(model, x, target, "token_cam")
    torch.testing.assert_close(a[:, 0, ::2, ::2].flatten(1), expected, **CLOSE)
    torch.testing.assert_close(attribute(model, x, target, "token_cam", layer="4.norm1"), a)


def test_token_occlusion_drops_one_after_another(x, target):
    model, expected = patches(), torch.zeros(5, 9, dtype=torch.double)
    tokens = model.tokens(x)
    whole = model(x).gather(1, target[:, None])[:, 0]
    for k in range(9):
        shorter = model.readout(model[4](model[3](tokens[:, [j for j in range(9) if j != k]])))
        expected[:, k] = (whole - shorter.gather(1, target[:, None])[:, 0]).detach()
    a = attribute(model, x, target, "token_occlusion")
    torch.testing.assert_close(a[:, 0, ::2, ::2].flatten(1), expected, **CLOSE)


def test_token_occlusion_drops_squares_and_keeps_the_class_token():
    vit, x = build_network("ours")
    tokens, target = vit.tokens(x), torch.tensor([0, 1, 2])
    left = [0, *(1 + j for j in range(16) if j not in {2, 3, 6, 7})]  # without the upper right square of 4 x 4 patches
    state = tokens[:, left]
    for block in vit.blocks:
        state = block(state)
    drop = (vit(x) - vit.readout(state)).gather(1, target[:, None])[:, 0].detach()
    a = attribute(vit, x, target, "token_occlusion", window=2)
    torch.testing.assert_close(a[:, 0, :8, 8:], drop[:, None, None].expand(-1, 8, 8), **CLOSE)
    with pytest.raises(ValueError, match="window must divide"):
        attribute(vit, x, target, "token_occlusion", window=3)


@pytest.mark.parametrize("name", ["legrad", "attcat", "token_cam", "token_occlusion"])
def test_torchvision_in_parts_gives_what_it_gave_whole(name):
    model, x = build_network("torchvision")
    target = torch.tensor([0, 1, 2])
    parts = from_torchvision(model)
    a = attribute(parts, x, target, name)
    assert a.shape == (3, 1, 16, 16)
    torch.testing.assert_close(attribute(model, x, target, name), a, **CLOSE)
    torch.testing.assert_close(parts(x), model(x), **CLOSE)


def test_legrad_is_that_of_torchcam():
    torchcam = pytest.importorskip("torchcam.methods")
    model, x = build_network("torchvision")
    target = torch.tensor([0, 1, 2])
    ours = attribute(from_torchvision(model), x, target, "legrad")[:, 0, ::4, ::4]
    with torchcam.LeGrad(
        model, list(model.encoder.layers), score_projection=from_torchvision(model).readout
    ) as extractor:
        out = model(x)
        (theirs,) = extractor(target.tolist(), out)
    spans = [(a - a.amin((1, 2), keepdim=True)) for a in (ours, theirs.double())]
    ours, theirs = (a / a.amax((1, 2), keepdim=True) for a in spans)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_legrad_of_frozen_weights_is_the_same():
    """Those of a prepared model have no gradient, and the graph begins at each block's own input."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=3).eval()
    x = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = attribute(model, x, 1, "legrad")
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(attribute(model.requires_grad_(False), x, 1, "legrad"), expected)
