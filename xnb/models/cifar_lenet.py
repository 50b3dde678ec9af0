"""The LeNet for pictures of 32 x 32 of the PyTorch tutorials, whose trained weights Captum ships with its insights."""

from collections import OrderedDict

from torch import nn


def lenet() -> nn.Sequential:
    """Two convolutions and three linear layers; 62,006 parameters."""
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 6, 5)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)),
        ("relu2", nn.ReLU()),
        ("pool2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("linear1", nn.Linear(16 * 5 * 5, 120)),
        ("relu3", nn.ReLU()),
        ("linear2", nn.Linear(120, 84)),
        ("relu4", nn.ReLU()),
        ("head", nn.Linear(84, 10)),
    ]
    return nn.Sequential(OrderedDict(layers))
