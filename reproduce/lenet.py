"""The LeNet of two of the tables, with its activations as functions or as modules: the same network either way."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.types import Logits


class FunctionalLeNet(nn.Module):
    """Two convolutions and three linear layers; `F.relu` between them, which no hook of a module sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(400, 120)
        self.linear2 = nn.Linear(120, 84)
        self.head = nn.Linear(84, 10)

    def forward(self, x: Float[Tensor, "B 1 28 28"]) -> Logits:
        first = self.pool1(F.relu(self.conv1(x)))
        second = self.pool2(F.relu(self.conv2(first)))
        hidden = F.relu(self.linear1(self.flatten(second)))
        return self.head(F.relu(self.linear2(hidden)))


def modular_lenet(functional: FunctionalLeNet) -> nn.Sequential:
    """Return the same network, with the same tensors, and each ReLU a module."""
    own = functional
    first = [own.conv1, nn.ReLU(), own.pool1]
    second = [own.conv2, nn.ReLU(), own.pool2]
    end = [own.flatten, own.linear1, nn.ReLU(), own.linear2, nn.ReLU(), own.head]
    return nn.Sequential(*first, *second, *end).eval()
