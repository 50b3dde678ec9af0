"""Which axes are units: what is known, what the map or the model shows, and what has to be named."""

import pytest
import torch
from torch import nn

from xnb.metrics import METRICS, deletion, infidelity, sparseness
from xnb.metrics.units import find_axes

SIGNAL, TOKENS, VOLUME, BAG = (2, 3, 12), (2, 5, 8), (2, 3, 4, 5, 6), (2, 4, 3, 8, 8)
PLACES = ["deletion", "insertion", "srg", "morf", "lerf", "road", "saco", "single_deletion", "infidelity", "symmetry"]
PLACES += ["faithfulness_correlation", "sensitivity_n", "sparseness", "entropy", "effective_support"]


class Attention(nn.Module):
    """Attention over axis 1, written out, behind a layer that tells nothing."""

    def __init__(self, width):
        super().__init__()
        self.embed, self.head = nn.Linear(width, 6), nn.Linear(6, 3)

    def forward(self, x):
        tokens = self.embed(x)
        return self.head(((tokens @ tokens.mT).softmax(-1) @ tokens).mean(1))


class Recurrent(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.rnn, self.head = nn.GRU(width, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class EachAlone(nn.Module):
    """A bag: instances run as a batch."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))

    def forward(self, x):
        return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)


def convolution(axes, channels):
    layers = getattr(nn, f"Conv{axes}d")(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    return nn.Sequential(getattr(nn, f"BatchNorm{axes}d")(channels), *layers)


def ready(net, x):
    net.eval()(x)
    return net


def nothing(x):
    """A model that must not be run."""
    raise AssertionError


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 7), (1,)),
        ((2, 3, 4, 5), (2, 3)),
        ((2, 3, 1, 5), (2, 3)),
        ((2, 1, 9), (2,)),
        ((2, 9, 1), (1,)),
        ((2, 1, 4, 5, 6), (2, 3, 4)),
        ((2, 9, 1, 1, 1), (1,)),
    ],
)
def test_what_is_known_from_the_input(shape, axes):
    x = noise(*shape)
    assert find_axes(None, x, x) == axes


@pytest.mark.parametrize(
    ("shape", "shared", "axes"),
    [
        (SIGNAL, (2, 1, 12), (2,)),
        (TOKENS, (2, 5, 1), (1,)),
        (VOLUME, (2, 1, 4, 5, 6), (2, 3, 4)),
        (BAG, (2, 4, 1, 1, 1), (1,)),
    ],
)
def test_an_axis_that_the_map_shares_numbers_no_units(shape, shared, axes):
    assert find_axes(None, noise(*shape), noise(*shared)) == axes


@pytest.mark.parametrize(
    ("make", "shape", "axes"),
    [
        (lambda: convolution(1, 3), SIGNAL, (2,)),
        (lambda: convolution(3, 3), VOLUME, (2, 3, 4)),
        (lambda: Recurrent(8), TOKENS, (1,)),
        (lambda: Attention(8), TOKENS, (1,)),
        (EachAlone, BAG, (1,)),
    ],
    ids=["signal", "volume", "recurrent", "attention", "bag"],
)
def test_what_the_model_shows(make, shape, axes):
    x = noise(*shape)
    net = ready(make(), x)
    assert find_axes(None, x, x, net) == axes
    named = deletion(net, x, 0, x, units=axes, impute="mean")
    assert torch.equal(deletion(net, x, 0, x, impute="mean"), named)


@pytest.mark.parametrize("shape", [SIGNAL, VOLUME])
@pytest.mark.parametrize("name", PLACES)
def test_what_nobody_tells_must_be_named_and_then_is_right(name, shape):
    """The line of the refusal works as pasted: each axis of places."""
    x = noise(*shape)
    weights = noise(3, x[0].numel()) / 20

    def model(x):
        return x.flatten(1) @ weights.T

    with pytest.raises(ValueError, match="must be named") as refusal:
        METRICS[name](model, x, 0, x)
    pasted = {}
    exec(str(refusal.value).split("try: ")[1], pasted)
    assert pasted["units"] == tuple(range(2, len(shape)))
    assert METRICS[name](model, x, 0, x, units=pasted["units"]).isfinite().any()


@pytest.mark.parametrize("name", PLACES)
def test_a_signal_is_a_one_row_picture_and_a_picture_a_flat_volume(name):
    """All metrics alike: random maps of f = mean of x[60:80], in one, two and three dimensions."""
    x, a = noise(3, 1, 200) + 1, noise(3, 1, 200).flip(2)

    def model(x):
        f = x.flatten(1)[:, 60:80].mean(1)
        return torch.stack([f, -f], 1)

    scores = METRICS[name](model, x, 0, a)
    assert scores.isfinite().all()
    torch.testing.assert_close(METRICS[name](model, x[:, :, None], 0, a[:, :, None]), scores)
    torch.testing.assert_close(METRICS[name](model, x[:, :, None, None], 0, a[:, :, None, None]), scores)
    pictures, maps = x.view(3, 1, 10, 20), a.view(3, 1, 10, 20)
    flat = METRICS[name](model, pictures, 0, maps)
    torch.testing.assert_close(METRICS[name](model, pictures[:, :, None], 0, maps[:, :, None]), flat)


def test_the_exact_map_of_a_signal_is_told_from_noise():
    """f = mean of x[60:80] of 200 ones: one step of 16 takes 12 of its 20 steps, the second the rest.

    Logits f and 0: (sigmoid(1) / 2 + sigmoid(0.4) + 14.5 sigmoid(0)) / 16.
    """
    x = torch.ones(1, 1, 200)
    exact = torch.zeros_like(x)
    exact[..., 60:80] = torch.linspace(1, 2, 20)

    def model(x):
        f = x.flatten(1)[:, 60:80].mean(1)
        return torch.stack([f, torch.zeros_like(f)], 1)

    steps = torch.tensor([1.0, 0.4, 0]).sigmoid()
    expected = (steps[0] / 2 + steps[1] + 14.5 * steps[2]) / 16
    torch.testing.assert_close(deletion(model, x, 0, exact), expected[None])
    assert deletion(model, x, 0, -exact) > deletion(model, x, 0, exact) + 0.1


def test_named_units_are_taken():
    x = noise(*TOKENS)
    a = noise(*TOKENS)
    expected = sparseness(nothing, a.sum(2), 0, a.sum(2))
    torch.testing.assert_close(sparseness(nothing, x, 0, a, units=(1,)), expected)
    torch.testing.assert_close(sparseness(nothing, x, 0, a, units=-2), expected)
    each_value = sparseness(nothing, a.flatten(1), 0, a.flatten(1))
    torch.testing.assert_close(sparseness(nothing, x, 0, a, units=(2, 1)), each_value)


def test_channels_last_pictures_have_units_by_name():
    x, weights = noise(2, 6, 5, 3), noise(6 * 5 * 3, 2)
    a = noise(2, 6, 5, 3)

    def last(x):
        return x.flatten(1) @ weights

    def first(x):
        return last(x.permute(0, 2, 3, 1))

    moved = x.permute(0, 3, 1, 2), 0, a.permute(0, 3, 1, 2)
    for name in PLACES:
        torch.testing.assert_close(METRICS[name](last, x, 0, a, units=(1, 2)), METRICS[name](first, *moved))


@pytest.mark.parametrize("units", [0, 3, (), (1, 1), (1, -2), (2, 9)])
def test_units_are_checked(units):
    x = noise(*TOKENS)
    with pytest.raises(ValueError, match="must be axes of x"):
        find_axes(units, x, x)


def test_a_map_of_channels_of_a_picture_is_refused():
    x = noise(2, 3, 4, 4)
    with pytest.raises(ValueError, match="must tell pixels apart") as refusal:
        sparseness(nothing, x, 0, x[:, :, :1, :1])
    assert str(refusal.value).endswith("try: units=(1,)")
    assert sparseness(nothing, x, 0, x[:, :, :1, :1], units=(1,)).isfinite().all()
    assert (sparseness(nothing, x, 0, x[:, :1, :1, :1]).abs() < 1e-6).all()


def test_one_row_of_a_table_needs_its_batch_axis():
    with pytest.raises(ValueError, match=r"batch axis[^\n]*\n.*\n  try: x, a = x\[None\], a\[None\]"):
        find_axes(None, noise(5), noise(5))


def test_infidelity_of_a_signal_removes_intervals():
    """A linear model: the exact map has no error, whatever is removed."""
    x, weights = noise(4, 2, 30).double(), noise(2, 30).double()

    def model(x):
        score = (x * weights).sum((1, 2))
        return torch.stack([score, -score], 1)

    exact = infidelity(model, x, 0, x * weights, units=2, impute="zero", normalise=False)
    torch.testing.assert_close(exact, torch.zeros(4).double())


def test_colours_may_stand_last():
    """Pictures (B, H, W, C) score as the same pictures (B, C, H, W) do, where the model shows which axis is which."""
    torch.manual_seed(0)
    pixels = nn.Linear(3, 6)
    head = nn.Linear(6, 4)
    last = nn.Sequential(pixels, nn.ReLU(), _Mean(), head).eval()
    first = nn.Sequential(_Turn(), *last).eval()
    x, target = torch.rand(2, 8, 8, 3), torch.tensor([1, 2])
    a = torch.rand(2, 8, 8, 1)
    for name in ("deletion", "insertion", "srg", "sparseness", "entropy", "saco", "morf"):
        score = METRICS[name](last, x, target, a)
        expected = METRICS[name](first, x.permute(0, 3, 1, 2), target, a.permute(0, 3, 1, 2))
        torch.testing.assert_close(score, expected, msg=name)


class _Mean(nn.Module):
    def forward(self, x):
        return x.mean((1, 2))


class _Turn(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)
