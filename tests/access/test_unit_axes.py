"""Units of inputs: what a model shows, and what follows for methods, baselines and regions; values in closed form.

Tests: xnb.access.units
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from try_lines import make_scope

from xnb import attribute
from xnb.access.baselines import expand_baseline
from xnb.access.memo import remember_answers
from xnb.access.regions import number_regions
from xnb.access.units import find_unit_axes, see_axes
from xnb.metrics.units import find_axes


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)


class WeightedTokens(nn.Module):
    """f(x) = sum over tokens of w_t sum(x[t]), behind an attention whose weights do not count."""

    def __init__(self, tokens, attends=True):
        super().__init__()
        self.weights = nn.Parameter(noise(tokens) + 2)
        self.attends = attends
        self.eval()

    def forward(self, x):
        if self.attends:
            x = x + 0 * F.scaled_dot_product_attention(x, x, x)
        f = (x.sum(2) * self.weights).sum(1)
        return torch.stack([f, -f], 1)


class Filter(nn.Module):
    """A convolution along one axis of (B, C, T) or, turned, of (B, T, C); as a function, and after a linear layer."""

    def __init__(self, channels, turned=False, linear=False):
        super().__init__()
        self.linear = nn.Linear(channels, channels).double() if linear else nn.Identity()
        self.weight = nn.Parameter(noise(2, channels, 3))
        self.turned = turned
        self.eval()

    def forward(self, x):
        x = self.linear(x)
        return F.conv1d(x.mT if self.turned else x, weight=self.weight).relu().sum(2)


def bag_of_signals(x):
    """Instances as a batch, their steps under a convolution: the steps are no units, as instances lie in the batch."""
    return F.conv1d(x.flatten(0, 1)[:, None], noise(2, 1, 3)).sum(2).unflatten(0, x.shape[:2]).sum(1)


@pytest.mark.parametrize(
    ("model", "shape", "axes"),
    [
        (WeightedTokens(5), (2, 5, 8), (1,)),
        (WeightedTokens(5, attends=False), (2, 5, 8), None),
        (Filter(3), (2, 3, 12), (2,)),
        (Filter(12), (2, 12, 12), (2,)),
        (Filter(3, turned=True), (2, 12, 3), (1,)),
        (Filter(12, turned=True), (2, 12, 12), (1,)),
        (Filter(3, turned=True, linear=True), (2, 12, 3), (1,)),
        (lambda x: Filter(3)(x), (2, 3, 12), (2,)),
        (Filter(3, turned=True).forward, (2, 12, 3), (1,)),
        (bag_of_signals, (2, 4, 9), None),
        (lambda x: F.conv1d(x, noise(2, 3, 1)).sum(2), (2, 3, 12), None),
        (lambda x: F.conv3d(x, noise(2, 3, 1, 3, 3)).flatten(2).sum(2), (2, 3, 1, 8, 8), (2, 3, 4)),
        (None, (2, 3, 12), None),
        (None, (2, 1, 12), (2,)),
        (None, (2, 3, 8, 8), (2, 3)),
        (None, (2, 7), (1,)),
    ],
)
def test_what_the_model_shows(model, shape, axes):
    x = noise(*shape)
    assert see_axes(x, model) == axes
    if axes is not None:
        assert find_unit_axes(None, x, model, "test") == axes
        if len(shape) != 4:
            assert find_axes(None, x, x, model) == axes
        return
    with pytest.raises(ValueError, match="test: which axes") as refusal:
        find_unit_axes(None, x, model, "test")
    assert "try: units=(2,)  # steps of a signal (B, C, T); units=(1,) of tokens (B, N, D)" in str(refusal.value)


def test_the_model_finds_the_tensor_as_it_was():
    x = noise(2, 3, 12)
    before = x.clone()
    see_axes(x, lambda z: F.conv1d(z.mul_(0), noise(2, 3, 3)).sum(2))
    assert torch.equal(x, before)


@pytest.mark.parametrize("knobs", [{}, {"window": 1}, {"window": 1, "units": (1,)}, {"window": 1, "chunk": 2}])
def test_occlusion_of_a_token_is_its_weight_times_its_sum(knobs):
    """a_t = w_t sum(x[t] - b), one number for all features of a token."""
    model, x = WeightedTokens(5), noise(2, 5, 8)
    baseline = noise(1, 5, 8).flip(2)
    expected = model.weights * (x - baseline).sum(2)
    found = attribute(model, x, 0, "occlusion", baseline=baseline, **knobs)
    torch.testing.assert_close(found, expected[..., None].detach())


def test_a_window_of_tokens_costs_what_they_cost_together():
    """Windows of 2 of 5 tokens, side by side and the last moved in: tokens 0, 1 | 2, 3 | 3, 4."""
    model, x = WeightedTokens(5), noise(2, 5, 8)
    w = (model.weights * x.sum(2)).detach()
    first, second, third = w[:, 0] + w[:, 1], w[:, 2] + w[:, 3], w[:, 3] + w[:, 4]
    expected = torch.stack([first, first, second, (second + third) / 2, third], 1)
    found = attribute(model, x, 0, "occlusion", window=2)
    torch.testing.assert_close(found, expected[..., None])


def test_instances_of_a_bag_are_occluded_whole():
    """f = sum over instances of w_i times all its pixels."""
    weights, x = noise(4), noise(2, 4, 3, 6, 6)
    model = lambda x: (x.flatten(2).sum(2) * weights).sum(1)[:, None] * torch.tensor([[1.0, -1]])  # noqa: E731
    found = attribute(model, x, 0, "occlusion", units=1)
    torch.testing.assert_close(found, (x.flatten(2).sum(2) * weights).view(2, 4, 1, 1, 1))


def test_channels_last_pictures_are_occluded_by_name():
    x = noise(2, 12, 10, 3)
    weights = noise(12, 10, 3)
    model = lambda x: (x * weights).flatten(1).sum(1)[:, None] * torch.tensor([[1.0, -1]])  # noqa: E731
    first = lambda x: model(x.permute(0, 2, 3, 1))  # noqa: E731
    expected = attribute(first, x.permute(0, 3, 1, 2), 0, "occlusion", window=(3, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(attribute(model, x, 0, "occlusion", window=(3, 2), units=(1, 2)), expected)


def test_controls_lie_along_the_tokens():
    """A ramp of 2 a token: its slope; the bump of a signal of as many steps."""
    ramp = 2 * torch.arange(6.0).double()[:, None] + noise(8)
    x = ramp.expand(2, 6, 8).clone()
    found = attribute(WeightedTokens(6), x, 0, "edges")
    assert found.shape == (2, 6, 1)
    torch.testing.assert_close(found[:, 1:-1], torch.full((2, 4, 1), 2.0).double())
    bump = attribute(None, noise(2, 1, 6), 0, "centre")
    torch.testing.assert_close(attribute(WeightedTokens(6), x, 0, "centre"), bump.mT)


@pytest.mark.parametrize("name", ["occlusion", "edges", "centre"])
def test_what_nobody_tells_is_asked_for_and_the_line_works(name):
    x = noise(2, 5, 8)
    with pytest.raises(ValueError, match=f"{name}: which axes of x .* must be named") as refusal:
        attribute(WeightedTokens(5, attends=False), x, 0, name)
    names = {}
    exec(str(refusal.value).split("try: ")[1], names)
    found = attribute(WeightedTokens(5, attends=False), x, 0, name, units=names["units"])
    assert found.shape == (2, 1, 8)


@pytest.mark.parametrize("units", [0, 3, (), (1, 1)])
def test_units_are_axes_of_the_input(units):
    with pytest.raises(ValueError, match="occlusion: units must be axes of x"):
        attribute(WeightedTokens(5), noise(2, 5, 8), 0, "occlusion", units=units)


def test_regions_are_groups_of_whole_tokens():
    """98 tokens of 8 features: 49 pairs; as a signal, pieces along the steps."""
    x = noise(2, 98, 8)
    numbers = number_regions(None, x, model=WeightedTokens(98))
    assert torch.equal(numbers, (torch.arange(98) // 2).view(1, 98, 1))
    signal = number_regions(None, x.mT.contiguous(), model=Filter(8))
    assert torch.equal(signal, (torch.arange(98) // 2).view(1, 1, 98))
    w = (WeightedTokens(98).weights * x.sum(2)).detach()
    expected = w.unflatten(1, (49, 2)).sum(2).repeat_interleave(2, 1)
    torch.testing.assert_close(attribute(WeightedTokens(98), x, 0, "feature_ablation"), expected[..., None])


@pytest.mark.parametrize(("shape", "regions"), [((2, 40, 98), 49), ((2, 5, 8, 10, 12), 64)])
def test_regions_that_nobody_knows_are_asked_for_and_the_line_works(shape, regions):
    x = noise(*shape)
    with pytest.raises(ValueError, match="regions: which axes") as refusal:
        number_regions(None, x)
    scope = make_scope()
    hint = str(refusal.value).split("try: ")[1]
    exec(hint, scope)
    numbers = number_regions(scope["regions"], x)
    assert int(numbers.max()) + 1 == regions
    others = hint.split("; ")[1].split(" of ")[0]
    assert int(number_regions(eval(others, scope), x).max()) + 1 == shape[1]


def test_mean_and_blur_go_along_the_tokens():
    x = noise(2, 30, 8)
    model = WeightedTokens(30)
    torch.testing.assert_close(expand_baseline("mean", x, model), x.mean(1, keepdim=True).expand_as(x))
    as_signal = expand_baseline("blur", x.mT, places=(2,)).mT
    torch.testing.assert_close(expand_baseline("blur", x, model), as_signal)
    expected = model.weights * (x - x.mean(1, keepdim=True)).sum(2)
    found = attribute(model, x, 0, "occlusion", baseline="mean", window=1)
    torch.testing.assert_close(found, expected[..., None].detach())
    found = attribute(model, x, 0, "integrated_gradients", baseline="mean")
    torch.testing.assert_close(found.sum(2), expected.detach())


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 5, 2, 3, 4)])
def test_a_mean_over_what_nobody_knows_is_refused_and_the_line_works(shape):
    x = noise(*shape)
    with pytest.raises(ValueError, match=r"baseline: over which axes") as refusal:
        expand_baseline("blur", x)
    baseline = eval(str(refusal.value).split("try: baseline=")[1].split("  #")[0], {"x": x})
    assert torch.equal(expand_baseline(baseline, x), expand_baseline("mean", x, places=tuple(range(2, len(shape)))))


class ColoursLast(nn.Module):
    """The mean of what a filter sees in pictures (B, H, W, 3), by a convolution or by a linear layer a pixel."""

    def __init__(self, convolution):
        super().__init__()
        torch.manual_seed(0)
        self.filter = nn.Conv2d(3, 4, 3) if convolution else nn.Linear(3, 4)

    def forward(self, x):
        if isinstance(self.filter, nn.Conv2d):
            return self.filter(x.permute(0, 3, 1, 2)).mean((2, 3))
        return self.filter(x).mean((1, 2))


@pytest.mark.parametrize("convolution", [True, False])
def test_colours_may_stand_last(convolution):
    """Closed form for a linear layer: a window takes its share of the mean away, (x w)[i, j].sum() / (H W) a pixel."""
    model, x = ColoursLast(convolution).eval().double(), noise(2, 8, 8, 3)
    assert find_unit_axes(None, x, model, "a") == (1, 2)
    a = attribute(model, x, 0, "occlusion", window=1, baseline="zero")
    assert a.shape == (2, 8, 8, 1)
    turned = nn.Sequential(Turn(), model).eval()
    expected = attribute(turned, x.permute(0, 3, 1, 2).contiguous(), 0, "occlusion", window=1, baseline="zero")
    torch.testing.assert_close(a[..., 0], expected[:, 0])
    if not convolution:
        shares = (x @ model.filter.weight[0]) / 64
        torch.testing.assert_close(a[..., 0], shares.detach())
    assert attribute(model, x, 0, "kernel_shap", samples=8).shape == (2, 8, 8, 1)


class Turn(nn.Module):
    """From (B, C, H, W) to (B, H, W, C)."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1)


def test_colours_that_nobody_has_seen_are_asked_for():
    """Of a function nothing is seen; small maps of many channels, and pictures of four rows, are what they were."""
    x = noise(2, 8, 8, 3)
    with pytest.raises(ValueError, match=r"must be named\n.*\n  try: units=\(1, 2\)"):
        find_unit_axes(None, x, lambda x: x.mean((1, 2)), "a")
    with pytest.raises(ValueError, match="regions: which axes") as refusal:
        number_regions(None, x)
    scope = make_scope()
    exec(str(refusal.value).split("try: ")[1], scope)
    assert number_regions(scope["regions"], x).shape[1:] == (8, 8, 1)
    assert find_unit_axes(None, noise(2, 3, 8, 8), None, "a") == (2, 3)
    assert find_unit_axes(None, noise(2, 4, 8, 4), None, "a") == (2, 3)
    assert find_unit_axes(None, noise(2, 64, 7, 7), None, "a") == (2, 3)


def test_methods_and_metrics_ask_the_model_once():
    calls = []
    net = WeightedTokens(5)

    def model(x):
        calls.append(len(x))
        return net(x)

    x = noise(2, 5, 8)
    with remember_answers():
        with pytest.raises(ValueError, match="must be named"):
            find_unit_axes(None, x, model, "a")
        with pytest.raises(ValueError, match="must be named"):
            find_axes(None, x, x, model)
    assert calls == [1]
