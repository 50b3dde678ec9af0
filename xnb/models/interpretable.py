"""Networks that are made to be explained: the logit is a sum that can be read off, cell by cell or pixel by pixel."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.score import input_gradient
from xnb.models.layers import Standardise
from xnb.types import Logits, Target


def plain_cnn(
    channels: int = 3,
    classes: int = 6,
    *,
    norm: bool = True,
    bias: bool = True,
) -> nn.Sequential:
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
        shifts = bias and not norm  # a norm behind the convolution has its own, and would remove these
        layers.append(nn.Conv2d(before, after, 3, stride, padding=1, bias=shifts))
        if norm:
            layers.append(nn.BatchNorm2d(after) if bias else Rescale(after))
        layers.append(nn.ReLU())
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes, bias=bias)]
    return nn.Sequential(*layers)


class Rescale(nn.Module):
    """Batch norm without its shifts: divided by the root mean square of each channel, nothing subtracted.

    In evaluation it is one factor a channel, so that a network of it has no bias anywhere.
    """

    def __init__(
        self,
        width: int,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.running_square = nn.Parameter(torch.ones(width), requires_grad=False)
        self.momentum = momentum
        self.eps = eps

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        square: Tensor = self.running_square
        if self.training:
            square = x.square().mean((0, 2, 3))
            # `.data`: of a running statistic autograd need not know.
            self.running_square.data.lerp_(square.detach(), self.momentum)
        factor = self.weight * (square + self.eps).rsqrt()
        return x * factor[:, None, None]


class BagNet(nn.Module):
    """Each cell of a grid votes from 9 x 9 pixels alone, and the logits are the mean of the votes.

    Small form of arXiv:1904.00760: convolutions that see further are replaced by ones of a single cell. 6,386
    parameters at the defaults. The votes are the whole explanation, but not of what a cell uses in its 9 x 9 pixels.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
    """

    def __init__(self, channels: int = 3, classes: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = [Standardise(0.5, 0.25)]
        # The last convolution reads one cell alone: from there on, nothing sees further than 9 pixels.
        widths = (channels, 12, 16, 24, 24)
        kernels = (3, 3, 3, 1)
        strides = (1, 2, 2, 1)
        for (before, after), kernel, stride in zip(pairwise(widths), kernels, strides, strict=True):
            convolution = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
        self.patches = nn.Sequential(*layers)
        self.head = nn.Conv2d(24, classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()

    def votes(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K h w"]:
        """The vote of each cell for each class; the logits are the mean over cells."""
        return self.head(self.patches(x))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        return self.flatten(self.pool(self.votes(x)))

    def own_map(
        self,
        x: Float[Tensor, "B C H W"],
        target: Target,
    ) -> Float[Tensor, "B 1 H W"]:
        """The votes for the target, each spread over the pixels of its cell: they sum to the logit."""
        H, W = x.shape[2:]
        with torch.no_grad():
            votes = self.votes(x)[torch.arange(len(x)), target]
        vote_of_pixel = F.interpolate(votes[:, None], (H, W), mode="nearest")
        return vote_of_pixel / (H * W)


class BcosConv(nn.Module):
    r"""Convolution whose output also counts how well patch and weight agree (B-cos with B = 2, arXiv:2205.10268).

    .. math:: g \, |\cos(x, w)| \, \hat w^\top x

    There is no bias and no activation. For one picture it is linear, with weights that turn towards the picture's
    own patches.

    Args:
        before: channels that come in.
        after: channels that go out.
        kernel: side in pixels.
        stride: step in pixels.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(before, after, kernel).weight.data)
        gain = float(kernel * before**0.5)
        self.gain = nn.Parameter(torch.tensor(gain))
        self.stride = stride
        self.padding = kernel // 2
        self.linear = False  # whether the gradient takes the cosine as a constant, as `BcosNet.own_map` needs

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B E h w"]:
        unit_weight = F.normalize(self.weight.flatten(1)).view_as(self.weight)
        projection = F.conv2d(x, unit_weight, None, self.stride, self.padding)
        # The length of each patch, as a convolution too: squares summed over channels and window.
        squares = x.square().sum(1, keepdim=True)
        ones = torch.ones_like(self.weight[:1, :1])
        sums = F.conv2d(squares, ones, None, self.stride, self.padding)
        patch_length = (sums + 1e-6).sqrt()
        cosine = self.gain * projection.abs() / patch_length
        if self.linear:
            cosine = cosine.detach()
        return projection * cosine


class Complement(nn.Module):
    """A picture and its negative as six channels: dark pixels are then evidence as bright ones are."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat([x, 1 - x], 1)


class BcosNet(nn.Module):
    """B-cos network in the shape of `plain_cnn`: 11,165 parameters at the defaults, no bias, no norm, no activation.

    A picture's logits are `W(x) [x, 1 - x]` with one matrix that the network makes for it, so the network's own map
    is complete: the contributions of all pixels sum to the logit.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
    """

    def __init__(self, channels: int = 3, classes: int = 6) -> None:
        super().__init__()
        self.complement = Complement()
        widths = (2 * channels, 12, 16, 24, 24, classes)
        kernels = (3, 3, 3, 3, 1)
        strides = (2, 2, 1, 1, 1)
        layers: list[nn.Module] = []
        for (before, after), kernel, stride in zip(pairwise(widths), kernels, strides, strict=True):
            layers.append(BcosConv(before, after, kernel, stride))
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        return self.body(self.complement(x))

    def own_map(
        self,
        x: Float[Tensor, "B C H W"],
        target: Target,
    ) -> Float[Tensor, "B C H W"]:
        """The contribution of each pixel to the logit, its negative included: `W(x)` times the six channels."""
        both = self.complement(x)
        layers = [layer for layer in self.body if isinstance(layer, BcosConv)]
        try:
            for layer in layers:
                layer.linear = True
            # with the cosines as constants, the gradient is the matrix W(x)
            contributions = both * input_gradient(self.body, both, target)
        finally:
            for layer in layers:
                layer.linear = False
        return contributions.unflatten(1, (2, -1)).sum(1)
