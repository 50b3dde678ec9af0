"""LRP: closed forms of its rules, conservation, and Zennit. On attention: test_attention_lrp.py.

Slow twins: lrp
Tests: xnb.methods.lrp, xnb.methods.lrp_division
"""

import copy

import pytest
import torch
from rule_networks import chain, randomise
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

import xnb
from xnb import attribute
from xnb.access.preparation import prepare
from xnb.access.score import score
from xnb.methods.lrp_rules import COMPOSITES
from xnb.models import SmallCNN


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "z_plus", "alpha_beta", "epsilon_plus", "flat"])
def test_relevance_is_conserved_without_biases(composite, pictures, classes):
    """Up to the stabiliser and to outputs that have no positive part at all."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)

        def forward(self, x):
            return x + F.relu(self.conv(x))

    head = (nn.AvgPool2d(4), nn.Flatten(), nn.Linear(96, 5, bias=False))
    net = randomise(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.ReLU(), Block(), Block(), *head))
    a = attribute(net, pictures, classes, "lrp", composite=composite)
    torch.testing.assert_close(a.flatten(1).sum(1), score(net, pictures, classes), rtol=2e-3, atol=1e-5)


def test_epsilon_without_bias_is_gradient_times_input(model, x, target):
    expected = attribute(model, x, target, "gradient_times_input")
    torch.testing.assert_close(attribute(model, x, target, "lrp", composite="epsilon"), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("composite", ["z_plus", "alpha_beta", "gamma"])
def test_a_grouped_convolution_is_one_with_zeros_between_the_groups(composite, classes):
    signed = torch.randn(2, 4, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    grouped = randomise(nn.Conv2d(4, 6, 3, padding=1, groups=2))
    weight = torch.zeros(6, 4, 3, 3)
    weight[:3, :2] = grouped.weight[:3].detach()
    weight[3:, 2:] = grouped.weight[3:].detach()
    whole = nn.Conv2d(4, 6, 3, padding=1).double().eval()
    whole.load_state_dict({"weight": weight, "bias": grouped.bias})
    head = randomise(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(216, 5)))
    ours, expected = (
        attribute(nn.Sequential(convolution, head).eval(), signed, classes, "lrp", composite=composite)
        for convolution in (grouped, whole)
    )
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-9)


def test_rules_of_one_linear_layer_by_hand():
    layer = nn.Linear(3, 1).double().eval()
    layer.weight.data = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.double)
    layer.bias.data = torch.tensor([0.5], dtype=torch.double)
    x, target = torch.tensor([[2.0, 1.0, -1.0]], dtype=torch.double), torch.tensor([1])
    z = torch.tensor([2.0, -2.0, -3.0], dtype=torch.double)  # adds up to the score -2.5 with the bias
    expected = {
        "epsilon": -2.5 * z / -2.5,
        "z_plus": -2.5 * torch.tensor([2.0, 0, 0]) / 2.5,  # with the positive bias
        "alpha_beta": -2.5 * (2 * torch.tensor([2.0, 0, 0]) / 2.5 - torch.tensor([0, 2.0, 3.0]) / 5),
        "gamma": -2.5 * torch.tensor([2.0, -2.5, -3.75]) / (2.0 - 2.5 - 3.75 + 0.5),  # z- counts more
        "flat": -2.5 * torch.ones(3) / 3,
    }
    for composite, relevance in expected.items():
        found = attribute(layer, x, target, "lrp", composite=composite)
        torch.testing.assert_close(found, relevance.double()[None], rtol=1e-5, atol=1e-8, msg=composite)


def test_batch_norm_is_folded_wherever_it_stands(pictures, classes):
    """SmallCNN as it is, and with its batch norms in the weights, get the same relevance."""
    model = randomise(SmallCNN(classes=5))
    for composite in COMPOSITES:
        found = attribute(model, pictures, classes, "lrp", composite=composite)
        folded = attribute(prepare(model), pictures, classes, "lrp", composite=composite)
        torch.testing.assert_close(found, folded, rtol=1e-6, atol=1e-9)


def test_a_batch_norm_of_its_own_shares_as_a_linear_function(pictures, classes):
    net = randomise(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 16), nn.Flatten(), nn.Linear(4, 5)))
    bn = net[0]
    x = bn(pictures)
    later = attribute(net[1:].eval(), x, classes, "lrp")
    scale = (bn.weight / (bn.running_var + bn.eps).sqrt())[:, None, None]
    expected = (pictures * scale / (x + 1e-6 * (2 * (x >= 0).double() - 1)) * later).detach()
    torch.testing.assert_close(attribute(net, pictures, classes, "lrp"), expected, rtol=1e-9, atol=1e-12)


def test_unknown_composite(model, x, target):
    with pytest.raises(
        ValueError, match=r"one of \['alpha_beta', .*\n  got: 'epsilonplus'\n  try: composite='epsilon'"
    ):
        attribute(model, x, target, "lrp", composite="epsilonplus")


def test_a_composite_of_your_own(model, x, target):
    rules, _ = COMPOSITES["epsilon"]
    silent = {**rules, "relu": lambda call: call.run() * 0}
    assert attribute(model, x, target, "lrp", composite=(silent, None)).abs().max() == 0


class TestZennit:
    """Zennit 0.5. Its canonizers leave a batch norm's eps in, so both get the model with the norms folded."""

    COMPOSITE_NAMES = ("epsilon", "gamma", "z_plus", "alpha_beta", "epsilon_plus", "flat")

    def relevance(self, model, composite, x, target, canonizers=()):
        attribution = pytest.importorskip("zennit.attribution")
        with attribution.Gradient(model, self.composite(composite, canonizers)) as attributor:
            return attributor(x, lambda out: F.one_hot(target, out.shape[1]) * out)[1].detach()

    def composite(self, name, canonizers):
        from zennit import composites, rules, types
        from zennit.layer import Sum

        if name in {"epsilon_plus", "flat"}:
            return {"epsilon_plus": composites.EpsilonPlus, "flat": composites.EpsilonPlusFlat}[name](
                canonizers=canonizers
            )
        rule = {"epsilon": rules.Epsilon, "gamma": rules.Gamma, "z_plus": rules.ZPlus, "alpha_beta": rules.AlphaBeta}
        table = [
            (types.Activation, rules.Pass()),
            (Sum, rules.Norm()),
            (types.AvgPool, rules.Norm()),
            (types.Linear, rule[name]()),
        ]
        return composites.LayerMapComposite(layer_map=table, canonizers=canonizers)

    @pytest.mark.parametrize("composite", COMPOSITE_NAMES)
    def test_plain_network(self, composite, pictures, classes):
        model = prepare(randomise(chain()))
        found = attribute(model, pictures, classes, "lrp", composite=composite)
        theirs = self.relevance(model, composite, pictures, classes)
        assert (found - theirs).abs().max() <= 1e-6 * theirs.abs().max()

    @pytest.mark.parametrize("composite", COMPOSITE_NAMES)
    @pytest.mark.usefixtures("as_users_run")
    def test_residual_network(self, composite, classes):
        """torchvision's, where we see `out += identity` and Zennit wants a canonizer."""
        canonizer = pytest.importorskip("zennit.torchvision").ResNetCanonizer
        model = prepare(randomise(resnet18(num_classes=5)))
        x = torch.randn(2, 3, 64, 64, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        found = attribute(model, x, classes, "lrp", composite=composite)
        theirs = self.relevance(model, composite, x, classes, [canonizer()])
        assert (found - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_lines_to_try_add_up_where_several_functions_have_no_rule():
    """The second line keeps what the first one gave: pasted one after the other they come to an end."""
    net = nn.Linear(4, 3).eval()

    def model(x):
        return net(torch.special.i1(torch.special.i0(torch.erfinv(x / 2))))

    scope = {"xnb": xnb, "model": model, "x": torch.rand(2, 4), "target": torch.tensor([0, 2])}
    line = "xnb.attribute(model, x, target, 'lrp')"
    for name in ("erfinv", "special_i0", "special_i1"):
        with pytest.raises(
            ValueError, match=rf"every function of the model needs a rule\n  got: '{name}\(\)"
        ) as caught:
            exec(line, scope)
        line = str(caught.value).split("  try: ")[1]
    exec(f"{line.split('; ')[0]}; found = {line.split('; ')[1]}", scope)
    assert scope["found"].shape == (2, 4)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_norm_behind_a_transposed_convolution_is_folded_group_by_group(groups):
    """By hand: each output's weights, the second axis of its group, times the scale of that output."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution, norm, head = nn.ConvTranspose2d(4, 6, 3, groups=groups), nn.BatchNorm2d(6), nn.Linear(6 * 36, 2)
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.data.uniform_(0.5, 2)
        x = torch.rand(3, 4, 4, 4).double()
    net = nn.Sequential(convolution, norm, nn.ReLU(), nn.Flatten(), head).double().eval()
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    folded = copy.deepcopy(convolution)
    by_group = convolution.weight.unflatten(0, (groups, -1)) * scale.view(groups, 1, -1, 1, 1)
    folded.weight.data = by_group.flatten(0, 1).detach()
    folded.bias.data = ((convolution.bias - norm.running_mean) * scale + norm.bias).detach()
    by_hand = nn.Sequential(folded, nn.ReLU(), nn.Flatten(), head).eval()
    target = torch.tensor([0, 1, 0])
    torch.testing.assert_close(by_hand(x), net(x))
    torch.testing.assert_close(attribute(net, x, target, "lrp"), attribute(by_hand, x, target, "lrp"))


def test_a_transposed_convolution_without_a_bias_has_one_of_zeros():
    """Its outputs are the second axis of its weight: 6, where its window is 3 wide."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        without, head = nn.ConvTranspose2d(4, 6, 3, bias=False), nn.Linear(6 * 36, 2)
        x = torch.rand(3, 4, 4, 4).double()
    zeros = nn.ConvTranspose2d(4, 6, 3)
    zeros.weight.data, zeros.bias.data = without.weight.data, torch.zeros(6)
    target = torch.tensor([0, 1, 0])
    nets = [nn.Sequential(each, nn.ReLU(), nn.Flatten(), head).double().eval() for each in (without, zeros)]
    torch.testing.assert_close(*(attribute(net, x, target, "lrp") for net in nets))
