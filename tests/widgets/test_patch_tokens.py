"""Which token stands for which patch: seen where tokens stand in another order, or other tokens beside them."""

import numpy as np
import pytest
import torch
from networks import with_seed
from torch import nn

from xnb.methods.seen_attention import TokenKnobs
from xnb.models import ViT
from xnb.models.layers import Cells
from xnb.widgets import attention
from xnb.widgets.explained import prepare_subject
from xnb.widgets.patch_tokens import find_patches, see_layers


class Placed(nn.Module):
    """One attention over patches of 2 x 4 pixels, with tokens of its own at stated places; the head reads `read`."""

    def __init__(self, special=(), read=None):
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(3, 6, (2, 4), (2, 4)), Cells())
        self.special, self.read = special, read
        self.own = nn.Parameter(torch.zeros(len(special), 6))
        self.mix, self.head = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        tokens = list(self.embed(x).unbind(1))
        for number, place in enumerate(self.special):
            tokens.insert(place, self.own[number].expand(len(x), -1))
        tokens = torch.stack(tokens, 1)
        mixed = self.mix(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(mixed.mean(1) if self.read is None else mixed[:, self.read].mean(1))


def see(model, shape=(3, 4, 12), **knobs):
    subject = prepare_subject(model.eval(), torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
    return find_patches(subject, see_layers(subject, TokenKnobs(**knobs)))[-1]


@pytest.mark.parametrize("special", [(), (0,), (3,), (6,), (0, 1), (0, 7)])
def test_patches_are_named_wherever_tokens_stand(special):
    """Two rows of three patches; numbers of the tokens that are left are theirs, row by row."""
    tokens = see(with_seed(lambda: Placed(special)))
    count = 6 + len(special)
    patches = [number for number in range(count) if number not in special]
    assert tokens.count == count
    assert tokens.grid.tolist() == [patches[:3], patches[3:]]
    assert tokens.others == list(special)
    names = [tokens.name(number) for number in patches]
    assert names == [f"row {row}, column {column}" for row in (1, 2) for column in (1, 2, 3)]
    assert [tokens.name(number) for number in special] == [f"token {number + 1}, no patch" for number in special]


@pytest.mark.parametrize(
    ("special", "read", "names"),
    [
        ((6,), [6], ["the class token"]),
        ((0, 1, 2), [0], ["the class token", "register 1", "register 2"]),
        ((0, 1), [1], ["register 1", "the class token"]),
        ((0, 1), [0, 1], ["the class token 1", "the class token 2"]),
        ((0,), [0, 3], ["token 1, no patch"]),
        ((0,), [3], ["token 1, no patch"]),
    ],
    ids=["behind", "registers", "register-first", "distilled", "with-a-patch", "a-patch-alone"],
)
def test_a_class_token_is_one_that_the_score_reads(special, read, names):
    tokens = see(with_seed(lambda: Placed(special, read)))
    assert [tokens.name(number) for number in special] == names


def test_weights_lie_on_the_pixels_of_their_patches():
    """Token 3 stands for no patch; tokens 0, 1, 2 are the upper three patches of 2 x 4 pixels, 4, 5, 6 the lower."""
    tokens = see(with_seed(lambda: Placed((3,), [3])))
    row = np.array([1, 2, 3, 40, 5, 6, 7], dtype=np.float32)
    expected = np.array([[1, 2, 3], [5, 6, 7]]).repeat(2, 0).repeat(4, 1)
    np.testing.assert_array_equal(tokens.put_on_picture(row), expected)
    marked = tokens.mark_pixels(5)
    assert marked.sum() == 8
    assert marked[2:, 4:8].all()
    assert not tokens.mark_pixels(3).any()
    assert tokens.at_place(0.75, 0.5) == 5
    assert tokens.at_place(0.25, 0.99) == 2


def test_pixels_that_no_token_reads_have_no_weight():
    """Patches of 2 x 4 leave the last row and the last two columns of 5 x 10 pixels out."""
    tokens = see(with_seed(Placed), (3, 5, 10))
    weights = tokens.put_on_picture(np.ones(4))
    assert weights[:4, :8].all()
    assert weights.sum() == 32
    assert tokens.at_place(0.95, 0.5) is None


def test_our_own_transformer_has_a_class_token_and_a_square_grid():
    tokens = see(with_seed(lambda: ViT(depth=2)), (3, 32, 32))
    assert tokens.name(0) == "the class token"
    assert tokens.name(1) == "row 1, column 1"
    assert tokens.name(64) == "row 8, column 8"
    assert tokens.count == 65


class OfRows(nn.Module):
    """Tokens that each read a colour of the whole picture, mixed by one attention."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.LazyLinear(6), nn.Linear(6, 3)
        self.mix = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        tokens = self.embed(x.flatten(2))
        return self.head(self.mix(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def of_rows(*shape):
    model = with_seed(OfRows)
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    model(x)
    return model.eval(), x


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 9), (4, 2, 3, 5)], ids=["colours", "signal", "volume"])
def test_tokens_that_are_no_cells_of_a_picture_are_refused(shape):
    """Four numbers are no 2 x 2 patches: the tokens are colours, steps, or channels of a volume."""
    model, x = of_rows(*shape)
    if len(shape) == 4:  # a volume whose tokens are its slices along the third axis
        x = x.movedim(1, 2)
        model = nn.Sequential(Moved(), model).eval()
    with pytest.raises(ValueError, match=r"attention: inputs must be bags, or pictures .*\n.*\n  try: xnb.widgets.exp"):
        attention(model, x)


class Moved(nn.Module):
    def forward(self, x):
        return x.movedim(2, 1)


def test_instances_of_a_bag_are_seen_where_nobody_says_so():
    """Tokens (B, N) of x (B, N, C, H, W) that read an instance each."""
    model, x = of_rows(4, 3, 5, 5)
    panel = attention(model, x)
    assert "bag" in panel.controls


@pytest.mark.usefixtures("as_users_run")
def test_what_cannot_be_seen_is_stated():
    """A convolution over all the picture before patches are cut: every token reads everything."""
    mixed = nn.Sequential(nn.Conv2d(3, 3, 9, padding=4), nn.Conv2d(3, 3, 9, padding=4), with_seed(lambda: Placed((0,))))
    with pytest.raises(ValueError, match="each token must read its own piece"):
        see(mixed, (3, 4, 8))
    tokens = see(mixed, (3, 4, 8), special=(0,), patch=(2, 4))
    assert tokens.grid.tolist() == [[1, 2], [3, 4]]
