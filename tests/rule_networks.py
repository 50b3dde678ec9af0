"""Networks that methods with rules are tried on, and Captum to compare them with: inputs (B, 3, 16, 16), 5 classes."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xnb.models.layers import Add

BY_RULES = ("lrp", "guided_backprop", "deconvnet", "deep_lift")


def randomise(model):
    """The model with random weights and running statistics, so that every batch norm does something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.1)
    return model.double().eval()


def chain():
    """A chain of modules with a batch norm behind a convolution, and both kinds of pooling."""
    first = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AvgPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 9, 5))


def smooth_chain():
    """A chain without a ReLU."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(784, 8), nn.Sigmoid(), nn.Linear(8, 5))


class Functional(nn.Module):
    """The same network as `Modules`, in the style that hooks on modules do not see."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(64, 5)

    def forward(self, x):
        x = F.relu(self.first(x))
        x = x + torch.relu(self.second(x))
        return self.head(F.max_pool2d(x, 4).flatten(1))


class Modules(Functional):
    """Every step is a module, and none is used twice."""

    def __init__(self):
        super().__init__()
        self.relu1 = nn.ReLU()
        self.relu2 = nn.ReLU()
        self.add = Add()
        self.pool = nn.MaxPool2d(4)

    def forward(self, x):
        x = self.relu1(self.first(x))
        x = self.add(x, self.relu2(self.second(x)))
        return self.head(self.pool(x).flatten(1))


class InPlace(Functional):
    """One ReLU for two places, which like the residual join overwrites its input."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.first(x))
        y = self.relu(self.second(x))
        y += x
        return self.head(F.max_pool2d(y, 4).view(len(y), -1))


def ask_captum(kind, model, x, target, **knobs):
    """What the class of that name in `captum.attr` answers."""
    attr = pytest.importorskip("captum.attr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its hooks
        return getattr(attr, kind)(model).attribute(x.clone().requires_grad_(), target=target, **knobs).detach()
