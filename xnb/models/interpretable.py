"""Networks that are made to be explained: the logit is a sum that can be read off, cell by cell or pixel by pixel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.score import input_gradient
from xnb.models.layers import Standardise
from xnb.types import Logits, Target


def plain_cnn(channels: int = 3, classes: int = 6, *, norm: bool = True, bias: bool = True) -> nn.Sequential:
    """Four convolutions of 3 x 3, the mean over the picture, and a linear head; 10,994 parameters at the defaults.

    A cell of the last grid, a quarter of the side, sees 23 x 23 pixels. Grey, 0.5, is where the network starts
    from. Without bias it is homogeneous around grey: twice the difference, twice the logits, and so gradient times
    difference is complete.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
        norm: batch norm behind each convolution, which then has no bias of its own.
        bias: learned shifts: of the norm or of the convolution, and of the head.
    """
    layers: list[nn.Module] = [Standardise(0.5, 0.25)]
    for before, after, stride in ((channels, 12, 2), (12, 16, 2), (16, 24, 1), (24, 24, 1)):
        layers.append(nn.Conv2d(before, after, 3, stride, padding=1, bias=bias and not norm))
        layers += [_make_norm(after, bias)] if norm else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes, bias=bias))


def _make_norm(width: int, bias: bool) -> nn.Module:
    if bias:
        return nn.BatchNorm2d(width)
    return Rescale(width)


class Rescale(nn.Module):
    """Batch norm without its shifts: divided by the root mean square of each channel, nothing subtracted.

    In evaluation it is one factor a channel, so that a network of it has no bias anywhere.
    """

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.running_square = nn.Parameter(torch.ones(width), requires_grad=False)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        square = self.running_square
        if self.training:
            square = x.square().mean((0, 2, 3))
            self.running_square.data.lerp_(square.detach(), self.momentum)
        return x * (self.weight * (square + self.eps).rsqrt())[:, None, None]


class BagNet(nn.Module):
    """Each cell of a grid votes from 9 x 9 pixels alone, and the logits are the mean of the votes.

    Small form of arXiv:1904.00760: convolutions that see further are replaced by ones of a single cell. 6,386
    parameters at the defaults. The votes are the whole explanation; what a cell saw in its 9 x 9 pixels they do not
    tell.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
    """

    def __init__(self, channels: int = 3, classes: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = [Standardise(0.5, 0.25)]
        plan = ((channels, 12, 3, 1), (12, 16, 3, 2), (16, 24, 3, 2), (24, 24, 1, 1))
        for before, after, kernel, stride in plan:
            layers += [nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.patches, self.head = nn.Sequential(*layers), nn.Conv2d(24, classes, 1)
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()

    def votes(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K h w"]:
        """What each cell says for each class; the logits are their mean."""
        return self.head(self.patches(x))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        return self.flatten(self.pool(self.votes(x)))

    def own_map(self, x: Float[Tensor, "B C H W"], target: Target) -> Float[Tensor, "B 1 H W"]:
        """The votes for the target, each spread over the pixels of its cell: they sum to the logit."""
        with torch.no_grad():
            votes = self.votes(x)[torch.arange(len(x)), target][:, None]
        return F.interpolate(votes, x.shape[2:], mode="nearest") / x.shape[2:].numel()


class BcosConv(nn.Module):
    r"""Convolution whose output also counts how well patch and weight agree (B-cos with B = 2, arXiv:2205.10268).

    .. math:: g \, |\cos(x, w)| \, \hat w^\top x

    There is no bias and no activation. For a given picture it is linear, with weights that turn towards what is there.

    Args:
        before: channels that come in.
        after: channels that go out.
        kernel: side in pixels.
        stride: step in pixels.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(before, after, kernel).weight.data)
        self.gain = nn.Parameter(torch.tensor(float(kernel * before**0.5)))
        self.stride, self.padding, self.linear = stride, kernel // 2, False

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B E h w"]:
        unit = F.normalize(self.weight.flatten(1)).view_as(self.weight)
        straight = F.conv2d(x, unit, None, self.stride, self.padding)
        squares = x.square().sum(1, keepdim=True)
        ones = torch.ones_like(self.weight[:1, :1])
        length = (F.conv2d(squares, ones, None, self.stride, self.padding) + 1e-6).sqrt()
        cosine = self.gain * straight.abs() / length
        return straight * (cosine.detach() if self.linear else cosine)


class Complement(nn.Module):
    """A picture and its negative, six channels: dark and bright then are evidence alike."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat([x, 1 - x], 1)


class BcosNet(nn.Module):
    """B-cos network in the shape of `plain_cnn`: 11,165 parameters at the defaults, no bias, no norm, no activation.

    A picture's logits are `W(x) [x, 1 - x]` with one matrix that the network makes for it, so the network's own
    account is complete: what each pixel adds, summed, is the logit.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
    """

    def __init__(self, channels: int = 3, classes: int = 6) -> None:
        super().__init__()
        self.complement = Complement()
        plan = ((2 * channels, 12, 3, 2), (12, 16, 3, 2), (16, 24, 3, 1), (24, 24, 3, 1), (24, classes, 1, 1))
        self.body = nn.Sequential(*(BcosConv(*row) for row in plan), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        return self.body(self.complement(x))

    def own_map(self, x: Float[Tensor, "B C H W"], target: Target) -> Float[Tensor, "B C H W"]:
        """What each pixel adds to the logit, its negative included: `W(x)` times the six channels."""
        both = self.complement(x)
        layers = [layer for layer in self.body if isinstance(layer, BcosConv)]
        try:
            for layer in layers:
                layer.linear = True
            adds = both * input_gradient(self.body, both, target)
        finally:
            for layer in layers:
                layer.linear = False
        return adds.unflatten(1, (2, -1)).sum(1)
