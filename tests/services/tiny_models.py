"""Models that the services under test load by their import paths, as people's own."""

import time

import torch
from torch import nn
from torchvision.transforms.v2 import functional as T

from services.core.models import ServedModel

CLASSES = tuple("one two three four five six seven eight".split())


class Tiny(nn.Module):
    """Eight classes of small pictures, told apart in a millisecond."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(6 * 8 * 8, 8)
            )

    def forward(self, x):
        return self.layers(x)


class Slow(Tiny):
    """The same, and every pass takes a while without taking the processor."""

    seconds = 0.05

    def forward(self, x):
        time.sleep(self.seconds)
        return super().forward(x)


def read(picture):
    small = T.resize(T.to_image(picture), [32, 32], antialias=True)
    return T.to_dtype(small, torch.float32, scale=True).as_subclass(torch.Tensor)[None]


def tiny():
    return ServedModel("tiny", Tiny().eval(), CLASSES, read)


def slow():
    return ServedModel("slow", Slow().eval(), CLASSES, read)


def not_served():
    return Tiny()
