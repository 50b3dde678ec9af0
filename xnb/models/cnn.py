"""A residual network small enough to train in minutes on a processor."""

from jaxtyping import Float
from torch import Tensor, nn

from xnb.models.layers import Add
from xnb.types import Logits


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm beside a shortcut (arXiv:1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        hidden = self.relu1(self.norm1(self.conv1(x)))
        change = self.norm2(self.conv2(hidden))
        joined = self.add(x, change)
        return self.relu2(joined)


def _widen_channels(before: int, after: int, stride: int) -> nn.Sequential:
    """A 3 x 3 convolution to another number of channels; at stride 2 it halves the resolution."""
    conv = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


class SmallCNN(nn.Module):
    """Residual network for small pictures: one residual block at each of three resolutions.

    121,562 parameters for 3 channels and 10 classes. Every activation, norm and join is a module of its own,
    none is used twice, none works in place: a hook reaches every tensor. `stage3` has the last spatial output,
    a quarter of the picture's side.

    Args:
        channels: 3 for colour, 1 for grey pictures.
        classes: number of logits.
        widths: channels at full, half and quarter resolution.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        widths: tuple[int, int, int] = (16, 32, 64),
    ) -> None:
        super().__init__()
        full, half, quarter = widths
        self.stage1 = nn.Sequential(_widen_channels(channels, full, 1), Residual(full))
        self.stage2 = nn.Sequential(_widen_channels(full, half, 2), Residual(half))
        self.stage3 = nn.Sequential(_widen_channels(half, quarter, 2), Residual(quarter))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(quarter, classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Logits:
        x = self.stage3(self.stage2(self.stage1(x)))
        features = self.flatten(self.pool(x))
        return self.head(features)
