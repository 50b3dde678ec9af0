"""Networks on pictures: what happens between two convolutions, and where a picture becomes a vector."""

import torch
from animal import Animal
from torch import nn
from torch.nn import functional as F

SHAPE = (2, 8, 8)


class Functional(nn.Module):
    """Functions in place of modules: nothing but the convolutions can be hooked."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.first(x), inplace=True)
        x = torch.relu(self.second(x))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.body(x)
        out += x
        return self.relu(out)


class Dense(nn.Module):
    """What came before is kept and handed on beside what is new."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(6, 4, 3, padding=1)
        self.last = nn.Conv2d(10, 5, 1)

    def forward(self, x):
        a = torch.cat([x, F.relu(self.first(x))], 1)
        return self.last(torch.cat([a, F.relu(self.second(a))], 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 2, 1)
        self.excite = nn.Conv2d(2, channels, 1)

    def forward(self, x):
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(scale))))


class Reused(nn.Module):
    """One convolution and one ReLU, called twice each."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 2, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.convolution(self.relu(self.convolution(x))))


class Permute(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class MeanOver(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.mean(self.axes)


class LastAxisBlock(nn.Module):
    """A block of ConvNeXt: depthwise, then norm and two linear layers over the last axis."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 8), nn.GELU(), nn.Linear(8, channels))

    def forward(self, x):
        out = self.depthwise(x).permute(0, 2, 3, 1)
        return x + self.mlp(self.norm(out)).permute(0, 3, 1, 2)


class Mixer(nn.Module):
    """Patches are mixed across places, then across channels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(2, 6, 2, 2)
        self.places = nn.Linear(16, 16)
        self.channels = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2)
        x = x + F.gelu(self.places(x))
        x = x.transpose(1, 2)
        x = x + F.gelu(self.channels(x))
        return self.head(x.mean(1))


class UpAndDown(nn.Module):
    """A small U-Net whose class maps are averaged."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(2, 4, 2, 2)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.last = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        wide = self.up(F.relu(self.down(x)))
        return self.last(torch.cat([x, wide], 1)).mean((2, 3))


def classify(*middle, channels=6):
    """Convolution, the middle, global average, linear head."""
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]
    return nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), *middle, *pool)


def picture(make, layer=None, **facts):
    return Animal(make, SHAPE, layer, places=(2, 3), **facts)


def last_axis_stage():
    """Stages with channels on the last axis all the way, as in Swin."""
    stage = [Permute(0, 2, 3, 1), nn.LayerNorm(6), nn.Linear(6, 7), nn.GELU(), nn.LayerNorm(7)]
    return nn.Sequential(nn.Conv2d(2, 6, 2, 2), *stage, MeanOver(1, 2), nn.Linear(7, 3))


PICTURES = {
    "relu": picture(lambda: classify(nn.ReLU()), "1", homogeneous=True),
    "functional relu": picture(Functional, "second", homogeneous=True),
    "relu in place": picture(lambda: classify(nn.ReLU(inplace=True)), "1", homogeneous=True),
    "leaky relu": picture(lambda: classify(nn.LeakyReLU(0.2)), "1", homogeneous=True),
    "batch norm": picture(lambda: classify(nn.BatchNorm2d(6), nn.ReLU()), "2"),
    "group norm": picture(lambda: classify(nn.GroupNorm(2, 6), nn.ReLU()), "2"),
    "instance norm": picture(lambda: classify(nn.InstanceNorm2d(6, affine=True), nn.ReLU()), "2"),
    "residual": picture(lambda: classify(Residual(6)), "1", homogeneous=True),
    "dense": picture(lambda: nn.Sequential(Dense(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)), "0"),
    "squeeze and excite": picture(lambda: classify(nn.ReLU(), SqueezeExcite(6)), "2"),
    "depthwise, hardswish": picture(lambda: classify(nn.Conv2d(6, 6, 3, groups=6), nn.Hardswish()), "2"),
    "silu": picture(lambda: classify(nn.SiLU()), "1"),
    "gelu": picture(lambda: classify(nn.GELU()), "1"),
    "mish": picture(lambda: classify(nn.Mish()), "1"),
    "relu6, dropout in place": picture(lambda: classify(nn.ReLU6(), nn.Dropout(0.2, inplace=True)), "2"),
    "overlapping max pool": picture(lambda: classify(nn.ReLU(), nn.MaxPool2d(3, 2, 1)), "2", homogeneous=True),
    "average pool": picture(lambda: classify(nn.AvgPool2d(2), nn.ReLU()), "2", homogeneous=True),
    "strides and dilation": picture(lambda: classify(nn.ReLU(), nn.Conv2d(6, 6, 3, 2, dilation=2, padding=2)), "2"),
    "reused modules": picture(
        lambda: nn.Sequential(Reused(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)), "0", homogeneous=True
    ),
    "pixel shuffle": picture(lambda: classify(nn.PixelUnshuffle(2), nn.ReLU(), channels=24), "2", homogeneous=True),
    "nearest upsampling": picture(lambda: classify(nn.ReLU(), nn.Upsample(scale_factor=2)), "2", homogeneous=True),
    "up and down": picture(UpAndDown, "last"),
    "last-axis block": picture(lambda: classify(LastAxisBlock(6)), "1"),
    "last-axis stage": picture(last_axis_stage, "5", maps=lambda out: out.permute(0, 3, 1, 2)),
    "mixer": picture(Mixer),
    "log-softmax head": picture(lambda: nn.Sequential(*classify(nn.ReLU()), nn.LogSoftmax(1)), "1"),
    "flat head": picture(
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)), "1", homogeneous=True
    ),
}
