"""Published residual networks for pictures of 32 x 32: shortcuts that pad (He et al. 2016), and shortcuts that learn.

`xnb.models.load_published` fills them with their authors' weights.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.models.layers import Add
from xnb.types import Logits

_WIDTHS = (16, 32, 64)  # channels at 32, 16 and 8 pixels a side
MakeBlock = Callable[[int, int, int], nn.Module]  # channels before and after, stride


class PadShortcut(nn.Module):
    """Every second pixel, and channels of zeros on both sides: a shortcut without parameters ("option A")."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.zeros = (after - before) // 2

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H2 W2"]:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))


def _convolve3(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Two convolutions, each with its norm behind it, beside a shortcut; the ReLU comes after the join."""

    def __init__(self, before: int, after: int, stride: int, *, pads: bool) -> None:
        super().__init__()
        self.conv1 = _convolve3(before, after, stride)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolve3(after, after)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = PadShortcut(before, after) if pads else nn.Conv2d(before, after, 1, stride=stride)
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H2 W2"]:
        hidden = self.relu1(self.norm1(self.conv1(x)))
        change = self.norm2(self.conv2(hidden))
        return self.relu2(self.add(change, self.shortcut(x)))


class PreActivationBlock(nn.Module):
    """Norm and ReLU stand before each convolution, so that the shortcut is left as it is."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.relu1 = nn.ReLU()
        self.conv1 = _convolve3(before, after, stride)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self.conv2 = _convolve3(after, after)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            widen = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), widen)
        self.add = Add()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D2 H2 W2"]:
        hidden = self.conv1(self.relu1(self.norm1(x)))
        change = self.conv2(self.relu2(self.norm2(hidden)))
        return self.add(change, self.shortcut(x))


class ResidualNetwork(nn.Module):
    """A convolution, three stages of blocks, the mean of each channel, a linear layer.

    Args:
        depth: blocks of each stage.
        make_block: makes a block of (channels before, after, stride).
        with_norm: the first convolution has norm and ReLU behind it; blocks with the norm in front need none.
    """

    def __init__(self, depth: int, make_block: MakeBlock, *, with_norm: bool = True) -> None:
        super().__init__()
        first: list[nn.Module] = [_convolve3(3, _WIDTHS[0])]
        if with_norm:
            first += [nn.BatchNorm2d(_WIDTHS[0]), nn.ReLU()]
        self.first = nn.Sequential(*first)
        blocks = []
        before = _WIDTHS[0]
        for stage, width in enumerate(_WIDTHS):
            for number in range(depth):
                # the first block of the second and of the third stage halves the resolution
                stride = 2 if stage and not number else 1
                blocks.append(make_block(before, width, stride))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(before, 10)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Logits:
        features = self.pool(self.blocks(self.first(x)))
        return self.head(self.flatten(features))


def padded_resnet(depth: int) -> ResidualNetwork:
    """ResNet-20, -32, -44, -56 of He et al. have 3, 5, 7, 9 blocks a stage."""

    def make_block(before: int, after: int, stride: int) -> nn.Module:
        return ResidualBlock(before, after, stride, pads=True)

    return ResidualNetwork(depth, make_block)


def projecting_resnet(depth: int = 3) -> ResidualNetwork:
    """The residual network of the uvadlc tutorials: 1 x 1 convolutions where the resolution is halved."""

    def make_block(before: int, after: int, stride: int) -> nn.Module:
        return ResidualBlock(before, after, stride, pads=False)

    return ResidualNetwork(depth, make_block)


def preactivation_resnet(depth: int = 3) -> ResidualNetwork:
    """The same with the norm in front."""
    return ResidualNetwork(depth, PreActivationBlock, with_norm=False)
