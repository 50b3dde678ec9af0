"""An arrow of attention is taken away as if its logit were minus infinity, in whatever way attention is written."""

import pytest
import torch
from attention_networks import KINDS, SEQUENCES, build_network
from torch import nn

import xnb
from xnb.access.hooks import attention_proof, capture_attention, knock_out_attention
from xnb.access.score import score
from xnb.models.vit import ViT


@pytest.fixture
def vit():
    torch.manual_seed(0)
    return ViT(16, 4, classes=3, width=8, depth=3, heads=2).double().eval()


@pytest.fixture
def pictures():
    return torch.rand(4, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def slow_logits(vit, x, arrows, layers):
    """The network again, head by head, with minus infinity in place of the logits."""
    state = vit.tokens(x)
    for number, block in enumerate(vit.blocks):
        z = block.norm1(state)
        query, key, value = (layer(z) for layer in (block.attention.query, block.attention.key, block.attention.value))
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            scores = query[..., part] @ key[..., part].mT / 2
            if number in layers:
                scores = scores.masked_fill(arrows, -torch.inf)
            heads.append(scores.softmax(-1) @ value[..., part])
        state = state + block.attention.out(torch.cat(heads, -1))
        state = state + block.mlp(block.norm2(state))
    return vit.readout(state)


@pytest.mark.parametrize("layers", [(0,), (2,), (0, 1, 2)])
def test_it_is_a_logit_of_minus_infinity(vit, pictures, layers):
    arrows = torch.rand(17, 17, generator=torch.Generator().manual_seed(2)) < 0.4
    arrows.fill_diagonal_(False)
    with torch.no_grad(), knock_out_attention(vit, arrows, layers=layers):
        found = vit(pictures)
    with torch.no_grad():
        torch.testing.assert_close(found, slow_logits(vit, pictures, arrows, layers), rtol=1e-10, atol=1e-12)
        assert (found - vit(pictures)).abs().max() > 1e-4


def test_by_default_all_layers_are_cut(vit, pictures):
    arrows = torch.eye(17, dtype=torch.bool).roll(1, 0)
    with torch.no_grad(), knock_out_attention(vit, arrows):
        found = vit(pictures)
    torch.testing.assert_close(found, slow_logits(vit, pictures, arrows, (0, 1, 2)), rtol=1e-10, atol=1e-12)


def test_a_token_that_nobody_reads_is_left_out(vit, pictures):
    target = torch.tensor([0, 1, 2, 0])
    left_out = xnb.attribute(vit, pictures, target, "token_occlusion")
    for patch in (0, 5, 15):
        arrows = torch.zeros(17, 17, dtype=torch.bool)
        arrows[:, patch + 1] = True
        arrows[patch + 1, patch + 1] = False
        with torch.no_grad(), knock_out_attention(vit, arrows):
            drop = -vit(pictures).gather(1, target[:, None])[:, 0]
        drop += score(vit, pictures, target)
        row, column = divmod(patch, 4)
        torch.testing.assert_close(drop, left_out[:, 0, 4 * row, 4 * column], rtol=1e-9, atol=1e-12)


def test_inputs_and_heads_may_have_arrows_of_their_own(vit, pictures):
    arrows = torch.zeros(4, 2, 17, 17, dtype=torch.bool)
    arrows[1, 0, 0, 3] = True
    with torch.no_grad(), knock_out_attention(vit, arrows, layers=[1]) as cut:
        found = vit(pictures)
    with torch.no_grad(), capture_attention(vit) as seen:
        left_alone = vit(pictures)
    changed = (found - left_alone).abs().amax(1) > 1e-9
    assert changed.tolist() == [False, True, False, False]
    assert cut[1].weights[1, 0, 0, 3] == 0
    torch.testing.assert_close(cut[1].weights[1, 1], seen[1].weights[1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_without_arrows(kind):
    model, x = build_network(kind)
    with torch.no_grad(), knock_out_attention(model, torch.zeros(1, 1, dtype=torch.bool)):
        found = model(x)
    torch.testing.assert_close(found, model(x), rtol=1e-9, atol=1e-12)


def test_fused_attention_of_torch_takes_the_same_mask():
    mix = nn.MultiheadAttention(6, 2, batch_first=True).double().eval()
    arrows = torch.ones(5, 5, dtype=torch.bool).triu(1)
    with torch.no_grad(), knock_out_attention(mix, arrows) as cut:
        found, weights = mix(SEQUENCES, SEQUENCES, SEQUENCES)
    expected, shown = mix(SEQUENCES, SEQUENCES, SEQUENCES, attn_mask=arrows)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(cut[0].weights.mean(1), shown)
    assert weights is None


def test_the_model_is_left_as_it_was(vit, pictures):
    before = vit(pictures)
    with pytest.raises(ValueError, match="something to read"), knock_out_attention(vit, torch.ones(17, 17) > 0):
        vit(pictures)
    assert torch.equal(vit(pictures), before)
    assert attention_proof(vit, pictures)["rows"].max() < 1e-12
