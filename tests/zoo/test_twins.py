"""Inputs and outputs that say the same in another shape have the same scores, by every metric."""

import pytest
import torch
from torch import nn
from zoo import ZOO, build_model
from zoo_scores import KNOBS, multiply_gradient

from xnb.metrics import METRICS

NEEDS_CLASSES = {"random_logit"}  # that have a logit each


def as_pictures(net):
    """A network of signals as one of pictures with one row, and the same weights."""
    first, _, _, _, last = net
    wide = nn.Conv2d(1, 5, (1, 3), padding=(0, 1))
    wide.weight, wide.bias = nn.Parameter(first.weight.data[:, :, None]), first.bias
    return nn.Sequential(wide, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).double().eval()


def as_volumes(net):
    """A network of pictures as one of volumes of depth 1, and the same weights."""
    first, _, _, _, last = net
    deep = nn.Conv3d(2, 6, (1, 3, 3), padding=(0, 1, 1))
    deep.weight, deep.bias = nn.Parameter(first.weight.data[:, :, None]), first.bias
    return nn.Sequential(deep, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), last).double().eval()


class SecondLogit(nn.Module):
    """A network of one logit z with two, 0 and z."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        z = self.net(x)
        return torch.cat([torch.zeros_like(z), z], 1)


def measure(name, model, x, target, a, masks, other, **more):
    knobs = dict(KNOBS.get(name, {}))
    asks = METRICS.cards[name].asks
    offers = {"masks": masks, "method": multiply_gradient, "other": other}
    knobs |= {ask: offers[ask] for ask in asks} | more
    return METRICS[name](model, x, target, a, **knobs)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"grid_pointing"}))
@pytest.mark.parametrize(
    ("kind", "widen", "axis"), [("wave", as_pictures, 2), ("relu", as_volumes, 2)], ids=["signal", "picture"]
)
def test_an_axis_of_length_one_changes_nothing(kind, widen, axis, name):
    """A signal as a picture of one row, a picture as a volume of depth 1."""
    animal = ZOO[kind]
    x, target, masks = animal.inputs(), animal.target(), animal.masks()
    a = multiply_gradient(build_model(kind), x, target)
    found = measure(name, build_model(kind), x, target, a, masks, animal.build(seed=8))
    wide = [values.unsqueeze(axis) for values in (x, a, masks)]
    twin = measure(name, widen(build_model(kind)), wide[0], target, wide[1], wide[2], widen(animal.build(seed=8)))
    torch.testing.assert_close(twin, found, rtol=1e-8, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"grid_pointing"} - NEEDS_CLASSES))
def test_one_logit_is_the_second_of_two_whose_first_is_zero(name):
    """Its sigmoid is their softmax."""
    animal = ZOO["one logit"]
    x, target, masks = animal.inputs(), torch.ones(3).long(), animal.masks()
    a = multiply_gradient(build_model("one logit"), x, target)
    one, other = build_model("one logit"), animal.build(seed=8)
    knobs = {"impute": "zero"} if name == "insertion" else {"impute": "mean"} if name == "road" else {}
    found = measure(name, one, x, target, a, masks, other, **knobs)
    twin = measure(name, SecondLogit(one).eval(), x, target, a, masks, SecondLogit(other).eval(), **knobs)
    torch.testing.assert_close(twin, found, rtol=1e-8, atol=1e-10, equal_nan=True)
