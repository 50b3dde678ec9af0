"""DeepLIFT: closed forms, the paper's multipliers step by step, and Captum.

Slow twins: deep_lift

Tests: xnb.methods.deep_lift_rules
"""

import pytest
import torch
from rule_networks import Functional, ask_captum, chain, randomise, smooth_chain
from torch import nn
from torch.nn import functional as F

from xnb import METHODS, attribute
from xnb.access.score import score
from xnb.methods import deep_lift
from xnb.models import SmallCNN


def test_deep_lift_closed_forms():
    """max(x1 - x2, 0) from zero: the change of the ReLU, shared by what moved its input."""
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double().eval()
    net[0].weight.data, net[2].weight.data = torch.tensor([[1.0, -1.0]]).double(), torch.tensor([[1.0]]).double()
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0]], dtype=torch.double)
    expected = torch.tensor([[3.0, -1.0], [0.0, 0.0]], dtype=torch.double)
    torch.testing.assert_close(attribute(net, x, torch.tensor([1, 1]), "deep_lift"), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [chain, smooth_chain, lambda: SmallCNN(classes=5)], ids=["relu", "smooth", "SmallCNN"])
@pytest.mark.parametrize("baseline", ["zero", "shared", "each"])
def test_adds_up_exactly(baseline, make, pictures, classes):
    start = {"zero": 0.0, "shared": torch.full((1, 3, 16, 16), 0.3).double(), "each": pictures.flip(0) / 2}[baseline]
    model = randomise(make())
    total = attribute(model, pictures, classes, "deep_lift", baseline=start).flatten(1).sum(1)
    before = torch.zeros_like(pictures) + start
    change = score(model, pictures, classes) - score(model, before, classes)
    torch.testing.assert_close(total, change, rtol=1e-8, atol=1e-10)


def slow_deep_lift(net, x, target, start):
    """The paper's multipliers, window by window through max pooling; a chain of modules."""
    with torch.no_grad():
        here, there = [x], [torch.zeros_like(x) + start]
        for layer in net:
            here.append(layer(here[-1]))
            there.append(layer(there[-1]))
        m = F.one_hot(target, here[-1].shape[1]).to(x)
        for layer, z, z0 in zip(reversed(net), reversed(here[:-1]), reversed(there[:-1]), strict=True):
            if isinstance(layer, nn.ReLU):
                m = m * torch.where((z - z0).abs() < 1e-10, (z > 0).to(z), (layer(z) - layer(z0)) / (z - z0))
            elif isinstance(layer, nn.MaxPool2d):
                m = slow_max_pool(z, z0, m)
            else:
                m = torch.autograd.functional.vjp(layer, z, m)[1]
    return m * (x - start)


def slow_max_pool(z, z0, m):
    contribution = torch.zeros_like(z)
    for b, c, i, j in torch.cartesian_prod(*map(torch.arange, m.shape)).tolist():
        window, window0 = (v[b, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flatten() for v in (z, z0))
        top = max(window.max(), window0.max())
        for position, share in ((window.argmax(), top - window0.max()), (window0.argmax(), window.max() - top)):
            contribution[b, c, 2 * i + position // 2, 2 * j + position % 2] += m[b, c, i, j] * share
    return torch.where((z - z0).abs() < 1e-10, 0, contribution / (z - z0))


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_through_max_pooling_as_the_paper_writes_it(start, pictures, classes):
    net = randomise(chain())
    found = attribute(net, pictures, classes, "deep_lift", baseline=start)
    torch.testing.assert_close(found, slow_deep_lift(net, pictures, classes, start), rtol=1e-8, atol=1e-11)


class TestCaptum:
    @pytest.mark.parametrize("baseline", [0.0, 0.3])
    def test_agrees(self, baseline, pictures, classes):
        model = randomise(SmallCNN(classes=5))
        theirs = ask_captum("DeepLift", model, pictures, classes, baselines=baseline)
        ours = attribute(model, pictures, classes, "deep_lift", baseline=baseline)
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()

    @pytest.mark.parametrize("make", [Functional, smooth_chain])
    def test_what_hooks_on_modules_do_not_see_is_a_trap(self, make, pictures, classes):
        """Captum 0.9 answers with other numbers and no error. Ours add up."""
        model = randomise(make())
        change = score(model, pictures, classes) - score(model, torch.zeros_like(pictures), classes)
        theirs = ask_captum("DeepLift", model, pictures, classes).flatten(1).sum(1)
        ours = attribute(model, pictures, classes, "deep_lift").flatten(1).sum(1)
        assert ((theirs - change) / change).abs().max() > 0.01
        torch.testing.assert_close(ours, change, rtol=1e-8, atol=1e-10)

    def test_a_pool_right_behind_a_relu_is_another_trap(self, pictures, classes):
        model = randomise(chain())
        expected = slow_deep_lift(model, pictures, classes, 0.0)
        theirs = ask_captum("DeepLift", model, pictures, classes)
        assert (theirs - expected).abs().max() > 0.01 * expected.abs().max()


def test_where_a_unit_does_not_change_its_gradient_counts():
    """Two inputs change a tanh unit by d and -d: the unit stays, and a multiplier of 0 / 0 would be no number."""
    net = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1)).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].bias.fill_(0.3)
        net[2].weight.fill_(2)
    x = torch.tensor([[0.5, -0.5]], dtype=torch.double)
    a = attribute(net, x, torch.tensor([1]), "deep_lift", baseline=0.0)
    torch.testing.assert_close(a, x * 2 * (1 - torch.tensor(0.3, dtype=torch.double).tanh() ** 2))


class Cancels(nn.Module):
    """f = relu(a z) - relu(a z - 1), a = 3e6: 1 for z > 1 / a, from two numbers of a million that leave one."""

    def __init__(self, keeps=0.0):
        super().__init__()
        self.wide, self.narrow = nn.Linear(1, 2), nn.Linear(2, 2, bias=False)
        self.wide.weight.data, self.wide.bias.data = torch.full((2, 1), 3e6), torch.tensor([0.0, -1.0])
        self.narrow.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        self.keeps = keeps
        self.eval()

    def forward(self, x):
        return self.narrow(self.wide(x).relu()) + self.keeps * x.detach()


@pytest.mark.parametrize("baseline", [0.0, torch.zeros(4, 1)])
def test_what_rounding_keeps_is_answered_in_double(baseline):
    """The one value has the whole change of score, 1. In single precision its share is off by up to 30 %."""
    x = torch.tensor([[0.3], [0.7], [1.1], [1.3]])
    net = Cancels()
    sloppy, sums = deep_lift._share_change(net, x, torch.zeros(4).long(), torch.zeros(4, 1), None)
    assert not sums.add_up(rounding=True)
    assert (sloppy - 1).abs().max() > 0.02
    found = attribute(net, x, 0, "deep_lift", baseline=baseline)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.ones(4, 1), rtol=1e-6, atol=0)
    assert net.wide.weight.dtype == torch.float32


@pytest.mark.parametrize("model", [Cancels(keeps=0.5), Cancels(keeps=0.5).double(), lambda x: Cancels()(x)])
def test_what_a_part_of_the_model_keeps_is_refused_in_any_precision(model):
    """Of a function that is no module there is no copy, and rounding stays a reason to refuse."""
    dtype = torch.double if isinstance(model, nn.Module) and model.wide.weight.dtype == torch.double else torch.float32
    with pytest.raises(ValueError, match="shares must add up to the change of the score"):
        attribute(model, torch.tensor([[0.3], [0.7], [1.1], [1.3]], dtype=dtype), 0, "deep_lift")


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e-30])
def test_small_units_are_no_reason_to_take_the_gradient(scale):
    """f = relu(x - s / 2), beside a logit of 1: of x = s the share is s / 2, half of what its gradient times x says."""
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).double().eval()
    net[0].weight.data, net[0].bias.data = torch.ones(1, 1).double(), torch.tensor([-scale / 2], dtype=torch.double)
    net[2].weight.data = torch.tensor([[1.0], [0.0]]).double()
    net[2].bias.data = torch.tensor([0.0, 1.0]).double()
    x = torch.tensor([[scale], [2 * scale]], dtype=torch.double)
    found = attribute(net, x, 0, "deep_lift")
    torch.testing.assert_close(found / scale, torch.tensor([[0.5], [1.5]]).double(), rtol=1e-12, atol=0)


def test_no_inputs_have_no_shares():
    none = torch.zeros(0, 1)
    assert METHODS["deep_lift"](Cancels(), none, torch.zeros(0).long()).shape == (0, 1)
