"""Models that methods with rules see whatever the style in which they are written, and what they refuse.

Tests: xnb.access.functions.function_rules, xnb.access.functions.backward_steps, xnb.access.functions.call_places
"""

import pytest
import torch
from rule_networks import BY_RULES, Functional, InPlace, Modules, randomise
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

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


class Overwrites(nn.Module):
    def forward(self, x):
        F.relu(x, inplace=True)
        return x


class Distances(nn.Module):
    def __init__(self):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(72, 72, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return torch.cdist(x, self.prototypes)


class WritesIntoSignal(nn.Module):
    def forward(self, x):
        x = x * 2
        x[:, 0] = 0
        return x


class OverwritesPart(nn.Module):
    """The whole is read after a part of it was rectified in place."""

    def forward(self, x):
        x = x * 1
        x[:, :36].relu_()
        return x


@pytest.mark.parametrize(
    ("names", "layer", "says"),
    [
        (
            ("lrp",),
            nn.LogSoftmax(1),
            r"needs a rule\n  got: 'log_softmax\(\) in 1 \(LogSoftmax\)'\n  try: model.set_sub",
        ),
        (
            ("lrp",),
            nn.Softmax(1),
            r"end in logits.*\n  got: 'softmax\(\) in 1 \(Softmax\)'\n  try: model.set_submodule",
        ),
        (("lrp",), Distances(), r"needs a rule\n  got: 'cdist\(\) in 1 \(Distances\)'\n  try: rules, first = "),
        (("deep_lift",), Distances(), r"needs a rule\n  got: 'cdist\(\) in 1 \(Distances\)'\n  try: xnb.attribute"),
        (BY_RULES, Overwrites(), r"overwritten in place\n  got: 'relu\(\) in 1 \(Overwrites\)'"),
        (BY_RULES, OverwritesPart(), r"overwritten in place\n  got: 'relu\(\) in 1 \(OverwritesPart\)'"),
        (BY_RULES, WritesIntoSignal(), r"written into\n  got: '__setitem__\(\) in 1 \(WritesIntoSignal\)'"),
        (("guided_backprop", "deconvnet"), nn.GELU(), r"must have a ReLU\n  got: .*\n  try: xnb.attribute"),
    ],
)
def test_refusals(names, layer, says, x, target):
    net = nn.Sequential(nn.Flatten(), layer, nn.Linear(72, 3)).double().eval()
    for name in names:
        with pytest.raises(ValueError, match=says):
            attribute(net, x, target, name)


@pytest.mark.parametrize("name", BY_RULES)
@pytest.mark.filterwarnings("ignore:None of the inputs")  # DeepLIFT runs the reference without a graph
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_is_refused_in_own_words(name, reentrant, x, target):
    """It runs its part again for the backward pass, where rules are not seen: DeepLIFT's sum would be off."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.ReLU()).double().eval()
    with pytest.raises(ValueError, match=r"must be seen\n  got: 'a part under torch.utils.checkpoint'\n  try: xnb"):
        attribute(lambda z: checkpoint(net, z, use_reentrant=reentrant), x, target, name)


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
