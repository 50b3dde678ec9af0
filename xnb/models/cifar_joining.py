"""Published networks for 32 x 32 that join by channels: GoogleNet (Szegedy et al. 2015), DenseNet (Huang et al. 2017).

Small forms of both, as in tutorial 5 of the uvadlc notebooks. `xnb.models.load_published` fills them with its weights.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

_GROWTH = 16  # channels that a dense layer adds
_DENSE_LAYERS = (6, 6, 6, 6)  # of each block


class Widths(NamedTuple):
    """Channels of an inception block: what the two wide branches reduce to, and what each of four branches returns."""

    reduce3: int
    reduce5: int
    plain: int
    wide3: int
    wide5: int
    pooled: int


# Blocks of GoogleNet from the input up; None halves the resolution.
_INCEPTION = (
    Widths(32, 16, 16, 32, 8, 8),
    Widths(32, 16, 24, 48, 12, 12),
    None,
    Widths(32, 16, 24, 48, 12, 12),
    Widths(32, 16, 16, 48, 16, 16),
    Widths(32, 16, 16, 48, 16, 16),
    Widths(32, 16, 32, 48, 24, 24),
    None,
    Widths(48, 16, 32, 64, 16, 16),
    Widths(48, 16, 32, 64, 16, 16),
)


class JoinChannels(nn.Module):
    """Channels of several tensors, one after the other."""

    def forward(self, *parts: Float[Tensor, "B _ H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat(parts, 1)


def _convolve_with_norm(before: int, after: int, kernel: int) -> list[nn.Module]:
    """A convolution that keeps the resolution, its norm and a ReLU."""
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return [conv, nn.BatchNorm2d(after), nn.ReLU()]


class Inception(nn.Module):
    """Four branches side by side: 1 x 1, 3 x 3, 5 x 5, and a maximum over 3 x 3."""

    def __init__(self, before: int, widths: Widths) -> None:
        super().__init__()
        self.plain = nn.Sequential(*_convolve_with_norm(before, widths.plain, 1))
        narrow3 = _convolve_with_norm(before, widths.reduce3, 1)
        self.wide3 = nn.Sequential(*narrow3, *_convolve_with_norm(widths.reduce3, widths.wide3, 3))
        narrow5 = _convolve_with_norm(before, widths.reduce5, 1)
        self.wide5 = nn.Sequential(*narrow5, *_convolve_with_norm(widths.reduce5, widths.wide5, 5))
        self.pooled = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), *_convolve_with_norm(before, widths.pooled, 1)
        )
        self.join = JoinChannels()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H W"]:
        return self.join(self.plain(x), self.wide3(x), self.wide5(x), self.pooled(x))


def _end(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def googlenet() -> nn.Sequential:
    """Eight inception blocks; 260,650 parameters."""
    layers = _convolve_with_norm(3, 64, 3)
    before = 64
    for widths in _INCEPTION:
        if widths is None:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            continue
        layers.append(Inception(before, widths))
        before = widths.plain + widths.wide3 + widths.wide5 + widths.pooled
    return nn.Sequential(*layers, *_end(before))


class DenseLayer(nn.Module):
    """What two convolutions make of the input, in front of the input itself."""

    def __init__(self, before: int) -> None:
        super().__init__()
        middle = 2 * _GROWTH
        self.change = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.ReLU(),
            nn.Conv2d(before, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, _GROWTH, 3, padding=1, bias=False),
        )
        self.join = JoinChannels()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H W"]:
        return self.join(self.change(x), x)


def _halve(channels: int) -> list[nn.Module]:
    """Half of the channels at half of the resolution."""
    conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
    return [nn.BatchNorm2d(channels), nn.ReLU(), conv, nn.AvgPool2d(2)]


def densenet() -> nn.Sequential:
    """Four blocks of six dense layers; 239,146 parameters."""
    channels = 2 * _GROWTH
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
    for block, count in enumerate(_DENSE_LAYERS):
        for _ in range(count):
            layers.append(DenseLayer(channels))
            channels += _GROWTH
        if block < len(_DENSE_LAYERS) - 1:
            layers += _halve(channels)
            channels //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), *_end(channels))
