"""Models that methods with rules see whatever the style in which they are written, and what they refuse.

Tests: xnb.access.function_rules, xnb.access.backward_steps
"""

import pytest
import torch
from rule_networks import BY_RULES, Functional, InPlace, Modules, randomise
from torch import nn
from torch.nn import functional as F

from xnb import attribute


@pytest.mark.parametrize("name", BY_RULES)
@pytest.mark.parametrize("style", [Functional, InPlace])
def test_functional_reused_and_in_place_are_seen(name, style, pictures, classes):
    modules = randomise(Modules())
    other = style().double().eval()
    other.load_state_dict(modules.state_dict())
    expected = attribute(modules, pictures, classes, name)
    torch.testing.assert_close(attribute(other, pictures, classes, name), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(attribute(lambda z: other(z), pictures, classes, name), expected, rtol=1e-9, atol=1e-12)
    assert not torch.equal(expected, attribute(modules, pictures, classes, "gradient"))


class Gate(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Overwrites(nn.Module):
    def forward(self, x):
        F.relu(x, inplace=True)
        return x


@pytest.mark.parametrize(
    ("names", "layer", "says"),
    [
        (("deep_lift",), nn.LayerNorm(72), r"needs a rule\n  got: 'layer_norm\(\)'"),
        (("lrp", "deep_lift"), nn.LogSoftmax(1), r"needs a rule\n  got: 'log_softmax\(\)'"),
        (("lrp",), nn.Softmax(1), "no gradient reaches x"),
        (("lrp", "deep_lift"), Gate(), r"product of two signals\n  got: 'mul\(\)'"),
        (BY_RULES, Overwrites(), "overwritten in place"),
        (("guided_backprop", "deconvnet"), nn.GELU(), r"must have a ReLU\n  got: .*\n  try: xnb.attribute"),
    ],
)
def test_refusals(names, layer, says, x, target):
    net = nn.Sequential(nn.Flatten(), layer, nn.Linear(72, 3)).double().eval()
    for name in names:
        with pytest.raises(ValueError, match=says):
            attribute(net, x, target, name)


@pytest.mark.parametrize("name", BY_RULES)
def test_what_cannot_be_seen_is_refused(name, x, target):
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.relu()

        @staticmethod
        def backward(ctx, arriving):
            return arriving

    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()
    for model in (lambda z: net(z) + Hidden.apply(net(z)), lambda z: Hidden.apply(net(z).relu())):
        with pytest.raises(ValueError, match="must be seen"):
            attribute(model, x, target, name)
