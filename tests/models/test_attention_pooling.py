"""Attention pooling is its formula, and a cell depends on the pixels that are stated."""

import pytest
import torch

from xnb.models import AttentionPool, MeanPool, SelfAttentionClassifier, bag_classifier, picture_classifier
from xnb.summary import count_parameters


@pytest.fixture(autouse=True)
def start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_parameter_counts():
    assert count_parameters(picture_classifier()) == 50_758
    assert count_parameters(bag_classifier()) == 10_082


@pytest.mark.parametrize("gated", [False, True])
def test_the_pooling_is_its_formula(gated):
    pool, tokens = AttentionPool(8, 5, gated=gated), torch.randn(3, 6, 8)
    hidden = torch.tanh(tokens @ pool.look.weight.T + pool.look.bias)
    if gated:
        hidden = hidden * torch.sigmoid(tokens @ pool.gate[0].weight.T + pool.gate[0].bias)
    weights = torch.softmax(hidden @ pool.rate.weight[0], 1)
    torch.testing.assert_close(pool(tokens), (weights[..., None] * tokens).sum(1))


@pytest.mark.parametrize("make", [picture_classifier, bag_classifier])
def test_the_mean_is_the_same_network_without_parameters_in_the_pooling(make):
    attention, gated, mean = (make(pool) for pool in ("attention", "gated", "mean"))
    assert isinstance(mean.pool, MeanPool)
    assert count_parameters(gated) > count_parameters(attention) > count_parameters(mean)
    for twin in (attention, gated):
        assert count_parameters(twin) - count_parameters(twin.pool) == count_parameters(mean)
    x = torch.rand(2, 3, 32, 32) if make is picture_classifier else torch.rand(2, 4, 1, 8, 8)
    tokens = mean.eval().encoder(x)
    torch.testing.assert_close(mean(x), mean.head(tokens.mean(1)))


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_cell_depends_on_its_own_pixels_and_on_its_reach(reach):
    """Changed are the pixels of cell (4, 4) of 8 x 8."""
    encoder = picture_classifier(reach=reach).eval().encoder
    before = torch.rand(1, 3, 32, 32)
    after = before.clone()
    after[:, :, 16:20, 16:20] += 1
    changed = (encoder(before) != encoder(after)).any(2).view(8, 8)
    near = torch.zeros(8, 8, dtype=torch.bool)
    near[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
    assert torch.equal(changed, near)


def test_instances_of_a_bag_are_read_alone():
    encoder, bags = bag_classifier().eval().encoder, torch.rand(2, 4, 1, 8, 8)
    torch.testing.assert_close(encoder(bags)[:, 2:3], encoder(bags[:, 2:3]))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: picture_classifier("max"),
            r"pool must be a known one\n  got: 'max'\n  try: one of \['attention', 'gated', 'mean'\]",
        ),
        (lambda: picture_classifier(reach=5), r"reach must lie in \[0, depth\]\n  got: \(5, 4\)\n  try: reach=4"),
        (lambda: SelfAttentionClassifier()(torch.rand(1, 3, 16, 16)), "there must be 64 tokens"),
    ],
)
def test_refusals(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(("dilation", "ends"), [(1, (4, 23)), (3, (0, 31))])
def test_a_dilated_twin_has_the_same_parameters_and_sees_further(dilation, ends):
    """Cell 3 stands on rows 12 to 15; five cells reach 20 rows, nine would reach 36 and meet the border."""
    net = picture_classifier("mean", width=8, dilation=dilation).eval()
    assert count_parameters(net) == count_parameters(picture_classifier("mean", width=8))
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    net.encoder.grid(x)[0, :, 3].sum().backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero()[:, 0]
    assert (int(rows.min()), int(rows.max())) == ends
