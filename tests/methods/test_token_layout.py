"""Each token's attribution lies where its piece is, wherever tokens stand in the sequence.

Tests: xnb.methods.token_cells
"""

import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.hooks import capture_attention
from xnb.models import FeatureTransformer, ViT
from xnb.models.layers import Cells

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
TARGET = torch.tensor([0, 1])


class Placed(nn.Module):
    """One attention over pieces, with tokens of its own at stated places among them; all tokens are read."""

    def __init__(self, embed, special=(), order=None, width=6):
        super().__init__()
        self.embed, self.special, self.order = embed, special, order
        self.own = nn.Parameter(torch.zeros(len(special), width))
        self.mix, self.head = nn.MultiheadAttention(width, 2, batch_first=True), nn.Linear(width, 3)

    def forward(self, x):
        tokens = self.embed(x)
        if self.order is not None:
            tokens = tokens[:, self.order]
        tokens = list(tokens.unbind(1))
        for number, place in enumerate(self.special):
            tokens.insert(place, self.own[number].expand(len(x), -1))
        tokens = torch.stack(tokens, 1)
        return self.head(self.mix(tokens, tokens, tokens, need_weights=False)[0].mean(1))


class MeanInFront(nn.Module):
    """Pieces behind their own mean, as a CLIP head pools them."""

    def __init__(self, embed):
        super().__init__()
        self.embed = embed

    def forward(self, x):
        tokens = self.embed(x)
        return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)


def features(count):
    """A token for each feature, as an FT-Transformer makes them."""
    return nn.Sequential(nn.Unflatten(1, (count, 1)), nn.Linear(1, 6))


def patches(height, width, stride=None, padding=0):
    return nn.Sequential(nn.Conv2d(3, 6, (height, width), stride or (height, width), padding), Cells())


def draw(model):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model.double().eval()
        for weights in model.parameters():
            nn.init.normal_(weights, 0, 0.5)
    return model


def inputs(*shape):
    return torch.randn(2, *shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def read_by_all(model, x):
    """Weight of each token, the mean over heads and queries, from the captured matrix."""
    with torch.no_grad(), capture_attention(model) as layers:
        model(x)
    return layers[0].weights.mean((1, 2))


@pytest.mark.parametrize("special", [(), (0,), (6,), (3,), (0, 1), (0, 4), (2, 7), (0, 1, 2, 3, 4)])
def test_features_of_a_table(special):
    """Six features; tokens of the network's own in front, at the end, in the middle, on both sides."""
    model, x = draw(Placed(features(6), special)), inputs(6)
    weights = read_by_all(model, x)
    pieces = [token for token in range(6 + len(special)) if token not in special]
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), weights[:, pieces], **CLOSE)
    stated = attribute(model, x, TARGET, "raw_attention", special=special)
    torch.testing.assert_close(stated, weights[:, pieces], **CLOSE)


SIZES = {  # of a picture, and of a patch
    "square": ((8, 8), (4, 4)),
    "wide picture": ((4, 12), (4, 4)),
    "wide patch": ((8, 8), (2, 4)),
    "high patch": ((8, 4), (4, 1)),
    "one row": ((4, 12), (4, 2)),
    "small patches": ((8, 8), (2, 2)),
}


@pytest.mark.parametrize("special", [(), (0,), (-1,), (1, 2)])
@pytest.mark.parametrize("size", SIZES)
def test_patches_of_a_picture(size, special):
    (H, W), (height, width) = SIZES[size]
    rows, columns = H // height, W // width
    places = tuple(place % (rows * columns + len(special)) for place in special)
    model, x = draw(Placed(patches(height, width), places)), inputs(3, H, W)
    weights = read_by_all(model, x)
    pieces = [token for token in range(weights.shape[1]) if token not in places]
    expected = weights[:, pieces].view(2, 1, rows, columns)
    expected = expected.repeat_interleave(height, 2).repeat_interleave(width, 3)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)
    stated = attribute(model, x, TARGET, "raw_attention", special=special, patch=(height, width))
    torch.testing.assert_close(stated, expected, **CLOSE)
    half = attribute(model, x, TARGET, "raw_attention", patch=(height, width))
    torch.testing.assert_close(half, expected, **CLOSE)


def test_tokens_in_another_order():
    """Columns first, as a network that scans pictures downwards has them."""
    order = torch.arange(6).view(2, 3).T.flatten()
    model, x = draw(Placed(patches(2, 2), (6,), order)), inputs(3, 4, 6)
    weights = read_by_all(model, x)[:, :6]
    expected = weights.view(2, 1, 3, 2).mT.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)


def test_a_mean_of_all_is_no_piece():
    model, x = draw(Placed(MeanInFront(patches(2, 2)))), inputs(3, 4, 4)
    expected = read_by_all(model, x)[:, 1:].view(2, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)


def test_patches_that_overlap_lie_on_their_grid():
    """Patches of 4 that read 2 pixels of their neighbours; then stretches of 4 at distance 3, which fill no axis."""
    model, x = draw(Placed(patches(8, 8, 4, 2), (0,))), inputs(3, 16, 16)
    expected = read_by_all(model, x)[:, 1:].view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)
    model, x = draw(Placed(patches(4, 4, 3))), inputs(3, 10, 10)
    sizes = torch.tensor([4, 3, 3])  # cells end half way into what two of them read, the odd pixel to the first
    expected = read_by_all(model, x).view(2, 1, 3, 3).repeat_interleave(sizes, 2).repeat_interleave(sizes, 3)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)


def test_pixels_that_no_token_reads_get_nothing():
    model, x = draw(Placed(patches(2, 2))), inputs(3, 5, 5)
    found = attribute(model, x, TARGET, "raw_attention")
    expected = read_by_all(model, x).view(2, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(found[:, :, :4, :4], expected, **CLOSE)
    assert not found[:, :, 4].any()
    assert not found[:, :, :, 4].any()


def test_signals_and_channels():
    """Stretches of a signal; and each channel of it as a token, as inverted Transformers have them."""
    model, x = draw(Placed(nn.Sequential(nn.Conv1d(2, 6, 4, 4), nn.Flatten(2), Transposed()))), inputs(2, 12)
    expected = read_by_all(model, x)[:, None].repeat_interleave(4, 2)
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)
    model, x = draw(Placed(nn.Linear(12, 6), (2,))), inputs(2, 12)
    expected = read_by_all(model, x)[:, :2, None]
    torch.testing.assert_close(attribute(model, x, TARGET, "raw_attention"), expected, **CLOSE)


class Transposed(nn.Module):
    def forward(self, x):
        return x.mT


def test_our_own_transformers():
    for model, x in (
        (ViT(16, 4, classes=3, width=8, depth=1, heads=2, registers=3, overlap=1), inputs(3, 16, 16)),
        (FeatureTransformer(7, classes=3), inputs(7)),
    ):
        draw(model)
        with torch.no_grad(), capture_attention(model) as layers:
            model(x)
        weights = layers[-1].weights.mean(1)[:, 0, model.prefix :]  # the class token's row
        found = attribute(model, x, TARGET, "raw_attention")
        cells = found[:, 0, ::4, ::4].flatten(1) if x.ndim == 4 else found
        torch.testing.assert_close(cells, weights, **CLOSE)


def test_tokens_mixed_before_attention_are_refused_until_they_are_placed():
    """A stem that sees the whole picture: the line of the refusal states the layout, and gives the map."""
    stem = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 6 * 16), nn.Unflatten(1, (16, 6)))
    model, x = draw(Placed(stem, (0,))), inputs(3, 8, 8)
    with pytest.raises(ValueError, match="each token must read its own piece") as refusal:
        attribute(model, x, TARGET, "raw_attention")
    line = str(refusal.value).split("try: ")[1]
    found = eval(line, {"xnb": __import__("xnb"), "model": model, "x": x, "target": TARGET})
    expected = read_by_all(model, x)[:, 1:].view(2, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_what_is_stated_must_fit():
    model, x = draw(Placed(patches(4, 4), (0,))), inputs(3, 8, 8)
    wrong = {
        "special must be different numbers": {"special": (9,)},
        "must be square patches": {"special": ()},
        "patches must be 4": {"patch": 3},
    }
    for message, knobs in wrong.items():
        with pytest.raises(ValueError, match=message):
            attribute(model, x, TARGET, "rollout", **knobs)
    table = draw(Placed(features(6), (0,)))
    with pytest.raises(ValueError, match="must be the 6 pieces"):
        attribute(table, inputs(6), TARGET, "rollout", special=())
    with pytest.raises(ValueError, match="patches are of pictures"):
        attribute(table, inputs(6), TARGET, "rollout", patch=2)


def test_a_piece_that_a_relu_hides_in_the_first_input_is_found_by_another():
    """A token of the first input reads nothing, as all its features are negative: it is a piece, and no class token."""
    torch.manual_seed(0)
    embed = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU())
    with torch.no_grad():
        embed[0].weight.abs_()
    model = Placed(embed).double().eval()
    x = torch.rand(2, 5, 4, dtype=torch.double)
    x[0, 3] = -1  # behind the ReLU nothing of it is left
    wanted = read_by_all(model, x)[:, :, None].expand(2, 5, 4)
    for knobs in ({}, {"special": ()}):
        a = attribute(model, x, TARGET, "raw_attention", **knobs)
        torch.testing.assert_close(a.expand_as(x), wanted, **CLOSE)
    assert (wanted[1, 3] > 0.05).all()  # what the second input would have lost
