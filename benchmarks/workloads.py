"""What is explained: networks with seeded random weights, and inputs. Each also comes in a size for quick tests."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer
from torchvision.models.resnet import BasicBlock, ResNet

from xnb.access.preparation import prepare
from xnb.models import Net, SmallCNN
from xnb.models.layers import Add

SEED = 0
SPAN = 4.0  # largest minus smallest value of every input, so that relative and absolute noise are the same thing


class Block(BasicBlock):
    """torchvision's block with a ReLU for each use and the join as a module: some libraries accept no other."""

    def __init__(self, *places: object, **named: object) -> None:
        super().__init__(*places, **named)
        self.relu, self.relu2, self.add = nn.ReLU(), nn.ReLU(), Add()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu2(self.add(y, x if self.downsample is None else self.downsample(x)))


def resnet(depths: tuple[int, int, int, int]) -> ResNet:
    model = ResNet(Block, list(depths))
    model.relu = nn.ReLU()  # torchvision's works in place
    return model


def uneven_residual(widths: tuple[int, ...]) -> nn.Sequential:
    """Residual network whose widths are no powers of two, as a user's own often are."""
    layers = [nn.Conv2d(3, widths[0], 3, padding=1), nn.ReLU()]
    for before, after in pairwise(widths):
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
        layers.append(Block(before, after, 2, shortcut))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 7))


def six_convolutions(width: int, side: int) -> nn.Sequential:
    """Plain network without norms or joins, in the manner of VGG."""
    layers, before = [], 3
    for index, factor in enumerate((1, 1, 2, 2, 4, 4)):
        layers += [nn.Conv2d(before, factor * width, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if index % 2 else []
        before = factor * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * (side // 8) ** 2, 10))


def transformer(depth: int, width: int, heads: int) -> VisionTransformer:
    return VisionTransformer(32, 4, depth, heads, width, 4 * width, num_classes=10)


@dataclass(frozen=True)
class Recipe:
    """How to build a workload; `limit_batch` is the batch of the bare limit, as large as its cache likes."""

    network: Callable[[], nn.Module]
    small: Callable[[], nn.Module]
    shape: tuple[int, ...]
    limit_batch: int
    small_shape: tuple[int, ...] = ()


RECIPES = {
    "cnn32": Recipe(
        partial(SmallCNN, widths=(40, 80, 160)), partial(SmallCNN, widths=(4, 6, 8)), (3, 32, 32), 16, (3, 16, 16)
    ),
    "plain32": Recipe(
        partial(six_convolutions, 32, 32), partial(six_convolutions, 4, 16), (3, 32, 32), 16, (3, 16, 16)
    ),
    "resnet18": Recipe(partial(resnet, (2, 2, 2, 2)), partial(resnet, (1, 1, 1, 1)), (3, 224, 224), 4, (3, 48, 48)),
    "uneven": Recipe(
        partial(uneven_residual, (13, 22, 37)), partial(uneven_residual, (3, 5)), (3, 36, 44), 16, (3, 18, 22)
    ),
    "vit32": Recipe(partial(transformer, 6, 192, 3), partial(transformer, 1, 16, 2), (3, 32, 32), 16),
    "mlp": Recipe(Net, Net, (10,), 1024),
    "table30": Recipe(partial(Net, in_features=30), partial(Net, in_features=6), (30,), 1024, (6,)),
}


@dataclass(frozen=True)
class Workload:
    """A network as a user has it, inputs, and for each a class that it scores high, also against a black input."""

    name: str
    model: nn.Module
    x: Tensor
    target: Tensor
    limit_batch: int
    tiny: bool = False

    @cached_property
    def prepared(self) -> nn.Module:
        return prepare(self.model)

    @cached_property
    def folded(self) -> nn.Module:
        """Prepared, but not channels last."""
        return copy.deepcopy(self.prepared).to(memory_format=torch.contiguous_format)

    @cached_property
    def double(self) -> nn.Module:
        return copy.deepcopy(self.model).double()

    @cached_property
    def half(self) -> nn.Module:
        return copy.deepcopy(self.prepared).bfloat16()

    @property
    def layer(self) -> str:
        """The last layer with rows and columns."""
        return {"cnn32": "stage3", "resnet18": "layer4"}[self.name]

    @property
    def channels(self) -> int:
        """Of that layer."""
        return self.model.head.in_features if self.name == "cnn32" else self.model.fc.in_features


def load(name: str, inputs: int, *, tiny: bool = False, device: str = "cpu") -> Workload:
    """The workload with that many inputs; networks are built once and shared."""
    recipe = RECIPES[name]
    shape = (recipe.small_shape or recipe.shape) if tiny else recipe.shape
    x = torch.randn(2 if tiny else inputs, *shape, generator=torch.Generator().manual_seed(SEED))
    flat = x.flatten(1)
    x = (x * (SPAN / (flat.amax(1) - flat.amin(1))).view(-1, *[1] * len(shape))).to(device)
    model = network(name, tiny, device)
    with torch.no_grad():
        score, black = model(x), model(torch.zeros_like(x[:1]))
        target = torch.minimum(score, score - black).argmax(1)
    return Workload(name, model, x, target, recipe.limit_batch, tiny)


@cache
def network(name: str, tiny: bool, device: str) -> nn.Module:
    recipe = RECIPES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = (recipe.small if tiny else recipe.network)()
        for module in model.modules():
            randomise(module)
    return model.eval().to(device)


def randomise(module: nn.Module) -> None:
    """Give batch norms statistics that make folding them matter, and no linear layer zeros throughout."""
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.running_mean, 0, 0.1)
        nn.init.uniform_(module.running_var, 0.5, 1.5)
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, 0, 0.1)
    if isinstance(module, nn.Linear) and not module.weight.any():  # torchvision's transformer starts with a zero head
        nn.init.normal_(module.weight, 0, module.in_features**-0.5)


def rectangles(w: Workload, rows: int, columns: int) -> Tensor:
    """Number of the rectangle that each pixel lies in, (H, W)."""
    H, W = w.x.shape[2:]
    found = (torch.arange(H) * rows // H)[:, None] * columns + torch.arange(W) * columns // W
    return found.to(w.x.device)
