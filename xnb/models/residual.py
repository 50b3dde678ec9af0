"""A residual network that a processor trains on all of CIFAR-10: few, wide blocks at low resolutions."""

from collections import OrderedDict
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from xnb.models.layers import Add, Standardise
from xnb.types import Logits


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

    695,242 parameters and 28 million multiply-adds for a picture of 32 x 32, at the defaults. Every operation is a
    module that is used once, and none works in place. `blocks` has the last spatial output, an eighth of the picture's
    side.

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
        first, *_, last = widths
        self.standardise = Standardise(mean, std)
        self.stem = _make_stem(channels, first)
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        before = first
        for number, after in enumerate(widths, start=1):
            # The stem has halved the resolution already.
            stride = 1 if number == 1 else 2
            blocks[f"block{number}"] = ProjectedBlock(before, after, stride)
            before = after
        self.blocks = nn.Sequential(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(last, classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        maps = self.blocks(self.stem(self.standardise(x)))
        features = self.flatten(self.pool(maps))
        return self.head(features)


def _make_stem(channels: int, width: int) -> nn.Sequential:
    """Patches of 4 x 4 pixels, two pixels apart: the strides come early, where a pixel costs most."""
    patches = nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(patches, nn.BatchNorm2d(width), nn.ReLU())
