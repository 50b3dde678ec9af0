"""Networks on records: tokens of features without an order, and diagnoses as good as stated."""

from inspect import signature

import pytest
import torch
from torch.optim import AdamW

from xnb import data
from xnb.models import FeatureAttention, FeatureTransformer, Logistic
from xnb.models.tabular import FeatureTokens
from xnb.summary import count_parameters
from xnb.training import loop

KINDS = pytest.mark.parametrize("make", [FeatureTransformer, FeatureAttention, Logistic])


def made(make, *args, seed=0, **knobs):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args, **knobs).double().eval()


@pytest.fixture
def x():
    return torch.randn(5, 7, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@KINDS
def test_shapes(make, x):
    net = made(make, 7, 3)
    assert net(x).shape == (5, 3)
    assert signature(make).parameters["classes"].default == 2
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]))


@pytest.mark.parametrize(("features", "classes", "width", "depth"), [(30, 2, 16, 2), (7, 3, 8, 1)])
def test_parameter_counts(features, classes, width, depth):
    tokens, head = 2 * features * width, (width + 1) * classes
    norm, attend, hidden = 2 * width, 4 * (width + 1) * width, 4 * width
    mlp = (width + 1) * hidden + (hidden + 1) * width
    transformer = tokens + width + depth * (2 * norm + attend + mlp) + norm + head
    assert count_parameters(FeatureTransformer(features, classes, width, depth)) == transformer
    assert count_parameters(FeatureAttention(features, classes, width)) == tokens + (width + 1) * width + width + head
    assert count_parameters(Logistic(features, classes)) == (features + 1) * classes
    assert count_parameters(FeatureTransformer(30)) == 7_602
    assert count_parameters(FeatureAttention(30)) == 1_282
    assert count_parameters(Logistic(30)) == 62


def test_tokens_are_features_times_their_weights(x):
    net = made(FeatureTransformer, 7)
    tokens = net.tokens(x)
    assert tokens.shape == (5, 8, 16)
    assert net.prefix == 1
    for j in range(7):
        expected = x[:, j, None] * net.embed.weight[j] + net.embed.bias[j]
        torch.testing.assert_close(tokens[:, net.prefix + j], expected)
    assert tokens[:, 0].unique(dim=0).shape == (1, 16)  # the class token knows no input


def test_forward_is_readout_of_blocks_of_tokens(x):
    net = made(FeatureTransformer, 7, depth=3)
    tokens = net.tokens(x)
    for block in net.blocks:
        tokens = block(tokens)
    assert len(net.blocks) == 3
    assert torch.equal(net(x), net.readout(tokens))


def test_features_have_no_order(x):
    """The tokens after the first may change places: without positions the blocks cannot tell."""
    net = made(FeatureTransformer, 7)
    tokens = net.tokens(x)
    mixed = torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], 1)
    for block in net.blocks:
        tokens, mixed = block(tokens), block(mixed)
    torch.testing.assert_close(net.readout(tokens), net.readout(mixed))


def test_blocks_take_any_number_of_tokens(x):
    net = made(FeatureTransformer, 7)
    tokens = net.tokens(x)[:, :4]
    for block in net.blocks:
        tokens = block(tokens)
    assert net.readout(tokens).shape == (5, 2)


def test_logit_of_feature_attention_is_a_weighted_sum_over_features(x):
    """Pooling is a mean with weights: a head of ones on constant tokens gives the constant."""
    net = made(FeatureAttention, 7)
    with torch.no_grad():
        net.embed.weight.zero_()
        net.embed.bias.copy_(torch.arange(16.0).expand(7, 16))
    torch.testing.assert_close(net.pool(net.embed(x)), torch.arange(16.0).double().expand(5, 16))
    assert net(x).shape == (5, 2)


def test_logistic_is_linear(x):
    net = made(Logistic, 7, 3)
    torch.testing.assert_close(net(x), x @ net.linear.weight.T + net.linear.bias)


@pytest.mark.parametrize(
    ("make", "rate", "epochs", "least"),
    [(FeatureTransformer, 3e-3, 10, 0.94), (FeatureAttention, 3e-2, 20, 0.92), (Logistic, 1e-2, 20, 0.94)],
)
def test_diagnoses_patients(make, rate, epochs, least):
    """Measured over five seeds: 94.7 to 95.3 %, 92.9 to 94.7 %, 95.3 to 96.4 %; always benign is 63 %.

    One of the 169 patients is 0.6 points. Rates and epochs are those that did best in four parts of the training part.
    """
    split, net = data.patients(), made(make, 30).float()
    knobs = {"epochs": epochs, "batch": 32, "schedule": loop.cosine, "progress": False}
    rows = loop.fit(net, split.train, split.test, optimizer=AdamW(net.parameters(), lr=rate), **knobs)
    assert rows.valid_accuracy.iloc[-1] >= least


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("shape", [(2, 8), (2, 1), (2, 7, 1)])
def test_another_number_of_features_is_refused(shape):
    for make in (FeatureTransformer, FeatureAttention):
        with pytest.raises(ValueError, match=r"must hold 7 features\n  got: float64\[2,.*\n  try: Feature"):
            made(make, 7)(torch.zeros(shape, dtype=torch.double))
    assert FeatureTokens(7, 4)(torch.zeros(2, 7)).shape == (2, 7, 4)
