"""Incremental occlusion is exact for every model, and saves work where the model is convolutional.

Tests: xnb.methods.incremental.crops, xnb.methods.incremental.geometry,
xnb.methods.incremental.sliding, xnb.methods.incremental.tensor
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import VisionTransformer, mobilenet_v3_small, resnet18

from xnb import attribute
from xnb.access.ledger import count_passes
from xnb.access.score import score
from xnb.methods import incremental, occlusion
from xnb.methods.incremental import measure_crops, run_crops, score_by_crops
from xnb.methods.incremental.geometry import Windows
from xnb.methods.incremental.tensor import Occluded
from xnb.methods.occlusion import score_by_full_passes
from xnb.models import FastNet, SmallCNN
from xnb.models.layers import PadSame


def draw_weights(model):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model.double().eval()


def vgg():
    layers, before = [], 3
    for width, pooled in ((8, False), (8, True), (16, True)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5))


class Odd(nn.Module):
    """Strides of three, dilation, groups, another padding, gates, a slice, channels joined, sizes asked for."""

    def __init__(self):
        super().__init__()
        self.first, self.pad = nn.Conv2d(3, 6, 5, stride=3, padding=2), PadSame(3, 2)
        self.second = nn.Conv2d(6, 6, 3, stride=2, groups=3)
        self.third, self.pool = nn.Conv2d(6, 6, 3, padding=2, dilation=2), nn.MaxPool2d(3, stride=2, padding=1)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = F.gelu(self.first(x)) * 2 - 0.1
        x = x * torch.sigmoid(x)
        y = self.second(self.pad(x))
        y += self.third(y)
        z = torch.cat([F.avg_pool2d(y, 2), self.pool(y)[:, :, : y.shape[2] // 2, : y.shape[3] // 2]], 1)
        return self.head(z.mean((2, 3)).view(x.size(0), -1))


def vit():
    return VisionTransformer(image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32)


def leaky(x):
    """A plain function, with a lookup that has no rule."""
    return torch.stack([x[:, 0].amax((1, 2)), x.flatten(1).sort(1)[0][:, -7], (x[:, 1] ** 2).sum((1, 2))], 1)


MODELS = {
    "residual": (lambda: SmallCNN(classes=5, widths=(6, 8, 10)), (32, 32)),
    "plain": (vgg, (24, 24)),
    "torchvision": (lambda: resnet18(num_classes=5), (48, 40)),
    "mobile": (lambda: mobilenet_v3_small(num_classes=5), (32, 32)),
    "fastnet": (lambda: FastNet(), (37, 41)),
    "odd": (Odd, (37, 31)),
    "transformer": (vit, (32, 32)),
}


@torch.no_grad()
def by_crops(model, x, target, windows, paint, chunk):
    """Whether it is worthwhile or not."""
    tape = measure_crops(model, x[:1], windows, paint[:1])
    return run_crops(model, x, target, windows, paint, chunk, tape)


def setting(name, baseline=0.3):
    make, (H, W) = MODELS[name]
    x = torch.randn(2, 3, H, W, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    model = make().double().eval()
    model(x)  # what is lazy learns its size
    tops, lefts = ([*range(0, n - 5, 8), n - 5] for n in (H, W))
    return draw_weights(model), x, torch.tensor([1, 3]), Windows((tops, lefts), (5, 5)), torch.full_like(x, baseline)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("name", "chunk"), [*((name, None) for name in MODELS), ("residual", 7), ("odd", 1)])
def test_exact(name, chunk):
    model, x, target, windows, paint = setting(name)
    full = score_by_full_passes(model, x, target, windows, paint, 50)
    scores = by_crops(model, x, target, windows, paint, chunk)
    differences = (full - full.mean()).abs().max()  # with random weights a window may matter little
    assert differences > 0
    assert (scores - full).abs().max() <= 1e-6 * differences


@pytest.mark.usefixtures("as_users_run")
def test_exact_for_functions_and_for_channels_last():
    model, x, target, windows, paint = setting("residual")
    full = score_by_full_passes(model, x, target, windows, paint, None)
    for other, inputs in ((lambda z: model(z), x), (model.to(memory_format=torch.channels_last), x)):
        scores = by_crops(other, inputs, target, windows, paint, None)
        torch.testing.assert_close(scores, full, rtol=1e-10, atol=1e-11)
    expected = score_by_full_passes(leaky, x, target[:1].repeat(2), windows, paint, None)
    torch.testing.assert_close(by_crops(leaky, x, target[:1].repeat(2), windows, paint, None), expected)


def shares(x):
    """Two names for the same values, one of them written to; and an operation with two results."""
    x = F.avg_pool2d(x, 30, stride=1)  # each window reaches all of it
    y = F.pad(x, (0, 0, 0, 0))
    y[:, 0] = 7
    z = x.detach()
    z.mul_(2)
    return (torch.frexp(x)[0] + y).mean((2, 3))


def test_writes_reach_who_shares_the_values_and_no_one_else():
    x = torch.randn(2, 3, 32, 32, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    x, target = x.to(memory_format=torch.channels_last), torch.tensor([0, 2])
    windows, paint = Windows(([0, 10, 27], [0, 14, 27]), (5, 5)), torch.zeros_like(x)
    full = score_by_full_passes(shares, x, target, windows, paint, None)
    torch.testing.assert_close(by_crops(shares, x, target, windows, paint, 4), full, rtol=1e-10, atol=1e-12)


class Work(TorchDispatchMode):
    """Multiply-adds of the convolutions that run."""

    def __init__(self):
        super().__init__()
        self.done = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.convolution.default:
            self.done += (out.crops.patch if isinstance(out, Occluded) else out).numel() * args[1][0].numel()
        return out


SHARES = [("residual", 0.6), ("plain", 0.45), ("torchvision", 0.95), ("fastnet", 0.95)]


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("name", "share"), SHARES)
def test_less_work_is_done(name, share):
    model, x, target, windows, paint = setting(name)
    with Work() as full, torch.no_grad():
        score_by_full_passes(model, x, target, windows, paint, None)
    with Work() as less, torch.no_grad():
        by_crops(model, x, target, windows, paint, None)
    assert 0 < less.done < share * full.done


def test_large_windows_and_what_wants_memory_run_in_full(model, x, target):
    paint = torch.zeros_like(x)
    through_numpy = lambda z: model(torch.from_numpy(z.numpy()))  # noqa: E731
    for function, size in ((model, 4), (through_numpy, 2)):
        ends = [0, 6 - size]
        windows = Windows((ends, ends), (size, size))
        assert score_by_crops(function, x, target, windows, paint) is None
        drops = score(function, x, target) - score_by_full_passes(function, x, target, windows, paint)
        a = attribute(function, x, target, "occlusion", window=size, stride=2)
        torch.testing.assert_close(a[:, 0, ::5, ::5], drops.permute(2, 0, 1))  # a corner lies in one window alone


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("name", "expected"), [("residual", True), ("plain", True), ("transformer", False)])
def test_crops_only_where_they_spare_work(name, expected, monkeypatch):
    model, x, target, *_ = setting(name)
    used = []
    full = lambda *args: used.append(False) or score_by_full_passes(*args)  # noqa: E731
    crops = lambda *args: used.append(True) or run_crops(*args)  # noqa: E731
    monkeypatch.setattr(occlusion, "score_by_full_passes", full)
    monkeypatch.setattr(incremental, "run_crops", crops)
    attribute(model, x, target, "occlusion", window=5, stride=5)
    assert used == [expected]


def test_single_and_half_precision():
    model, x, target, windows, paint = setting("residual")
    exact = score_by_full_passes(model, x, target, windows, paint, None)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.1)):
        found = by_crops(model.to(dtype), x.to(dtype), target, windows, paint.to(dtype), None)
        assert found.dtype == dtype
        assert (found.double() - exact).abs().max() < tolerance * exact.abs().max()
        model.double()


def test_passes_are_counted_and_baselines_of_each_picture_painted(model, x, target):
    baseline = x.flip(0) * 2
    with count_passes() as passes:
        found = attribute(model, x, target, "occlusion", window=2, baseline=baseline)
    assert passes.forward == 5 * (1 + 9)
    each = [
        attribute(model, x[i : i + 1], target[i : i + 1], "occlusion", window=2, baseline=baseline[i : i + 1])
        for i in range(5)
    ]
    torch.testing.assert_close(found, torch.cat(each))


def test_an_interrupt_and_an_error_of_the_model_come_through(x, target):
    def interrupted(z):
        raise KeyboardInterrupt

    def wrong(z):
        return z.flatten(1) @ torch.zeros(3, 3).double()

    with pytest.raises(KeyboardInterrupt):
        attribute(interrupted, x, target, "occlusion", window=2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        attribute(wrong, x, target, "occlusion", window=2)


def writes_out(x):
    """Sums written to memory that was given: of the input itself, and of something made from it."""
    y = F.avg_pool2d(x, 3, stride=1)
    z = y.clone()
    torch.add(y, 1.0, out=z)
    torch.mul(z, 2.0, out=y)
    return (y + z).square().mean((2, 3))


def test_memory_that_is_given_is_written_to():
    """Without a fall-back to full passes: an `out=` that is no crop is written as it is."""
    _, x, _, windows, paint = setting("residual")
    target = torch.tensor([2, 0])
    full = score_by_full_passes(writes_out, x, target, windows, paint, None)
    torch.testing.assert_close(by_crops(writes_out, x, target, windows, paint, None), full)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("sizes", [(3, 9), (7, 2)])
def test_windows_need_not_be_square(sizes):
    model, x, target, _, paint = setting("residual")
    windows = Windows(([0, 6, 20], [1, 11, 19, 23]), sizes)
    full = score_by_full_passes(model, x, target, windows, paint, None)
    torch.testing.assert_close(by_crops(model, x, target, windows, paint, None), full)
