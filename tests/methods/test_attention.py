"""Attention is captured as it was used, and each method on it is its formula."""

import pytest
import reference
import torch
from networks import patches, pooling
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

import xnb
from xnb import METHODS, attribute
from xnb.access.hooks import attention_proof, captured_attention
from xnb.models.attention_pooling import AttentionPool, MeanPool
from xnb.models.vit import ViT, from_torchvision

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


class Masked(nn.Module):
    """A multi-head attention whose keys are hidden by both kinds of mask."""

    def __init__(self):
        super().__init__()
        self.mix, self.head = nn.MultiheadAttention(6, 2, batch_first=True, kdim=6, vdim=6), nn.Linear(6, 3)

    def forward(self, x):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        last = (torch.arange(x.shape[1]) == x.shape[1] - 1).expand(x.shape[:2])
        return self.head(self.mix(x, x, x, attn_mask=later, key_padding_mask=last)[0].mean(1))


class WrittenOut(nn.Module):
    """Attention as tutorials write it: inputs and heads folded into one axis, `bmm`."""

    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(6, 18), nn.Linear(6, 3)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (2, 3)).transpose(1, 2).flatten(0, 1) for part in self.qkv(x).chunk(3, 2))
        weights = F.dropout(F.softmax(torch.bmm(q, k.mT) / 3**0.5, dim=-1), 0.1, self.training)
        mixed = torch.bmm(weights, v).view(len(x), 2, -1, 3)
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


class Grouped(nn.Module):
    """Four query heads share two heads of keys and values; later tokens are hidden."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.head = nn.Linear(6, 8), nn.Linear(6, 4), nn.Linear(8, 3)

    def forward(self, x):
        q, k = (part.unflatten(2, (-1, 2)).transpose(1, 2) for part in (self.q(x), self.k(x)))
        mixed = F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True, scale=0.7)
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


def encoder():
    layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), MeanPool(), nn.Linear(6, 3))


SEQUENCES = torch.randn(4, 5, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))
PICTURES = torch.randn(3, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))
KINDS = {
    "ours": (lambda: ViT(16, 4, classes=3, width=8, depth=2, heads=2), PICTURES),
    "registers": (lambda: ViT(16, 4, classes=3, width=8, depth=2, heads=2, pool="mean", registers=2), PICTURES),
    "torchvision": (lambda: VisionTransformer(16, 4, 2, 2, 8, 16, num_classes=3), PICTURES),
    "encoder layer": (encoder, SEQUENCES),
    "masks": (Masked, SEQUENCES),
    "written out": (WrittenOut, SEQUENCES),
    "grouped": (Grouped, SEQUENCES),
    "pooling": (lambda: nn.Sequential(AttentionPool(6, 4, gated=True), nn.Linear(6, 3)), SEQUENCES),
}


def build(kind):
    make, x = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().double().eval()
        for weights in model.parameters():
            nn.init.normal_(weights, 0, 0.3)
    return model, x


@pytest.mark.parametrize("kind", KINDS)
def test_captured_weights_are_those_that_the_model_used(kind):
    model, x = build(kind)
    proof = attention_proof(model, x)
    assert len(proof) >= 1
    assert proof[["rows", "reproduced", "logits"]].to_numpy().max() < 1e-12
    with captured_attention(model) as layers:
        model(x)
    assert [layer.layer for layer in layers] == proof["layer"].tolist()
    assert all(layer.weights.shape[0] == len(x) for layer in layers)
    torch.testing.assert_close(layers[0].out, layers[0].weights @ layers[0].values)


@pytest.mark.parametrize("kind", ["masks", "grouped"])
def test_hidden_keys_get_no_weight(kind):
    model, x = build(kind)
    with captured_attention(model) as layers:
        model(x)
    assert layers[0].weights.triu(1).abs().max() == 0
    assert layers[0].weights.abs().max() > 0.2


def test_nothing_is_left_behind():
    model, x = build("torchvision")
    before = model(x)
    with pytest.raises(RuntimeError), captured_attention(model):
        model(x[:, :1])
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)
    with captured_attention(model) as layers:
        model(x)
        model(x[:1])
    assert [len(layer.weights) for layer in layers] == [1, 1]  # of the last pass


def test_extra_keys_are_refused():
    mix = nn.MultiheadAttention(6, 2, batch_first=True, add_bias_kv=True).double().eval()
    with captured_attention(mix), pytest.raises(ValueError, match="bias_k"):
        mix(SEQUENCES, SEQUENCES, SEQUENCES)


def taken_apart(model, x, target):
    """Weights and slopes of one input's layers, by torch alone once they are captured."""
    with captured_attention(model) as layers:
        score = model(x)[0, target]
        slopes = torch.autograd.grad(score, [layer.weights for layer in layers])
    return [layer.weights[0].detach() for layer in layers], [slope[0] for slope in slopes]


MEAN = torch.full((9,), 1 / 9, dtype=torch.double)


def on_patches(worth):
    return worth.view(1, 3, 3).repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.mark.parametrize("row", range(3))
def test_methods_are_their_formulas(row, x, target):
    model, one, c = patches(), x[row : row + 1], target[row : row + 1]
    weights, slopes = taken_apart(model, one, c[0])
    with captured_attention(model) as layers:
        model(one)
    lengths = layers[-1].values[0].norm(dim=2)
    expected = {
        "raw_attention": MEAN @ weights[-1].mean(0),
        "value_weighted_attention": MEAN @ torch.einsum("hnm,hm->nm", weights[-1], lengths) / 2,
        "rollout": reference.rollout(weights, MEAN),
        "gradient_weighted_attention": torch.einsum("hnm,hnm->m", weights[-1], slopes[-1]),
        "chefer": reference.chefer(weights, slopes, MEAN),
        "legrad": reference.legrad(model, one, c[0], captured_attention),
    }
    for name, worth in expected.items():
        torch.testing.assert_close(attribute(model, one, c, name)[0], on_patches(worth), **CLOSE, msg=name)
    flow = reference.attention_flow(weights, MEAN)
    torch.testing.assert_close(attribute(model, one, c, "attention_flow")[0], on_patches(flow), rtol=1e-7, atol=1e-7)


def test_gradient_weighted_attention_is_the_values_seen_along_the_slope(x, target):
    """sum_j a_j (slope at the output) . v_j is the slope times the output."""
    model = patches()
    with captured_attention(model) as layers:
        scores = model(x).gather(1, target[:, None]).sum()
        mixed = layers[-1]
        (slope,) = torch.autograd.grad(scores, [mixed.weights], retain_graph=True)
    a = attribute(model, x, target, "gradient_weighted_attention")[:, 0, ::2, ::2].flatten(1)
    torch.testing.assert_close(a, torch.einsum("bhnm,bhnm->bm", mixed.weights.detach(), slope), **CLOSE)


def test_attcat_by_hand(x, target):
    model, total = patches(), 0
    with captured_attention(model) as layers:
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
    vit, x = build("ours")
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


def test_the_class_token_is_found_from_the_slopes():
    """Rollout of torchvision's network is the class token's row; an average over patches reads all rows."""
    model, x = build("torchvision")
    weights, _ = taken_apart(model, x[:1], 1)
    first = torch.zeros(17, dtype=torch.double)
    first[0] = 1
    expected = reference.rollout(weights, first)[1:].view(4, 4)
    found = attribute(model, x[:1], torch.tensor([1]), "rollout")[0, 0, ::4, ::4]
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("name", ["legrad", "attcat", "token_cam", "token_occlusion"])
def test_torchvision_in_parts_gives_what_it_gave_whole(name):
    model, x = build("torchvision")
    target = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="from_torchvision"):
        attribute(model, x, target, name)
    parts = from_torchvision(model)
    a = attribute(parts, x, target, name)
    assert a.shape == (3, 1, 16, 16)
    torch.testing.assert_close(parts(x), model(x), **CLOSE)


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
    with pytest.raises(ValueError, match="square patches"):
        attribute(
            nn.Sequential(nn.Flatten(2), AttentionPool(36, 3), nn.Linear(36, 3)).double().eval(), x, target, "rollout"
        )


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "epsilon_plus"])
@pytest.mark.parametrize("kind", ["ours", "torchvision"])
def test_lrp_is_conserved_where_nothing_is_added(kind, composite):
    """Attention weights and deviations are constants, so without biases and positions no relevance is lost."""
    model, x = build(kind)
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


def test_legrad_is_that_of_torchcam():
    torchcam = pytest.importorskip("torchcam.methods")
    model, x = build("torchvision")
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


def test_all_methods_in_one_call(x, target):
    model = patches()
    names = [name for name in METHODS if METHODS.cards[name].family == "attention" and name != "leave_one_out"]
    found = xnb.explain(model, x, target, methods=names)
    for name in names:
        torch.testing.assert_close(found.attributions[name], attribute(model, x, target, name), **CLOSE)
