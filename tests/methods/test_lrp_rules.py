"""Rules: closed forms, slow twins, Zennit and Captum, and the models on which other libraries go wrong."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from xnb import attribute
from xnb.access.preparation import prepare
from xnb.access.score import score
from xnb.methods.lrp_rules import COMPOSITES
from xnb.models import SmallCNN
from xnb.models.layers import Add

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def random_weights(model, seed=0):
    """Weights and running statistics that make every batch norm do something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.1)
    return model.double().eval()


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def classes():
    return torch.tensor([3, 1])


def plain():
    head = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 9, 5))
    norm = nn.BatchNorm2d(8)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), *head
    )


class Functional(nn.Module):
    """The same network as `modules()`, in the style that hooks on modules do not see."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Linear(64, 5),
        )

    def forward(self, x):
        x = F.relu(self.first(x))
        x = x + torch.relu(self.second(x))
        return self.head(F.max_pool2d(x, 4).flatten(1))


class Modules(Functional):
    def __init__(self):
        super().__init__()
        self.relu1, self.relu2, self.add, self.pool = nn.ReLU(), nn.ReLU(), Add(), nn.MaxPool2d(4)

    def forward(self, x):
        x = self.relu1(self.first(x))
        return self.head(self.pool(self.add(x, self.relu2(self.second(x)))).flatten(1))


class InPlace(Functional):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.first(x))
        y = self.relu(self.second(x))
        y += x
        return self.head(F.max_pool2d(y, 4).view(len(y), -1))


RULES = ("lrp", "guided_backprop", "deconvnet", "deep_lift")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("style", [Functional, InPlace])
def test_functional_reused_and_in_place_are_seen(name, style, pictures, classes):
    modules = random_weights(Modules())
    other = style().double().eval()
    other.load_state_dict(modules.state_dict())
    expected = attribute(modules, pictures, classes, name)
    torch.testing.assert_close(attribute(other, pictures, classes, name), expected, **CLOSE)
    torch.testing.assert_close(attribute(lambda z: other(z), pictures, classes, name), expected, **CLOSE)
    assert not torch.equal(expected, attribute(modules, pictures, classes, "gradient"))


# closed forms and conservation


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
    net = random_weights(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.ReLU(), Block(), Block(), *head))
    a = attribute(net, pictures, classes, "lrp", composite=composite)
    torch.testing.assert_close(a.flatten(1).sum(1), score(net, pictures, classes), rtol=2e-3, atol=1e-5)


def test_epsilon_without_bias_is_gradient_times_input(model, x, target):
    expected = attribute(model, x, target, "gradient_times_input")
    torch.testing.assert_close(attribute(model, x, target, "lrp", composite="epsilon"), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("composite", ["z_plus", "alpha_beta", "gamma"])
def test_a_grouped_convolution_is_one_with_zeros_between_the_groups(composite, classes):
    signed = torch.randn(2, 4, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    apart, whole = nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.Conv2d(4, 6, 3, padding=1)
    head = random_weights(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(216, 5)))
    apart = random_weights(apart)
    state = {"weight": torch.zeros(6, 4, 3, 3), "bias": apart.bias}
    state["weight"][:3, :2], state["weight"][3:, 2:] = apart.weight[:3].detach(), apart.weight[3:].detach()
    whole.double().eval().load_state_dict(state)
    found, expected = (
        attribute(nn.Sequential(conv, head).eval(), signed, classes, "lrp", composite=composite)
        for conv in (apart, whole)
    )
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_rules_of_one_linear_layer_by_hand():
    layer = nn.Linear(3, 1).double().eval()
    layer.weight.data = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.double)
    layer.bias.data = torch.tensor([0.5], dtype=torch.double)
    x, target = torch.tensor([[2.0, 1.0, -1.0]], dtype=torch.double), torch.tensor([0])
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
    model = random_weights(SmallCNN(classes=5))
    for composite in COMPOSITES:
        found = attribute(model, pictures, classes, "lrp", composite=composite)
        folded = attribute(prepare(model), pictures, classes, "lrp", composite=composite)
        torch.testing.assert_close(found, folded, rtol=1e-6, atol=1e-9)


def test_a_batch_norm_of_its_own_shares_as_a_linear_function(pictures, classes):
    net = random_weights(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 16), nn.Flatten(), nn.Linear(4, 5)))
    bn = net[0]
    x = bn(pictures)
    later = attribute(net[1:].eval(), x, classes, "lrp")
    scale = (bn.weight / (bn.running_var + bn.eps).sqrt())[:, None, None]
    expected = (pictures * scale / (x + 1e-6 * (2 * (x >= 0).double() - 1)) * later).detach()
    torch.testing.assert_close(attribute(net, pictures, classes, "lrp"), expected, **CLOSE)


def test_guided_and_deconvnet_by_hand(model, x, target):
    """Backward through a chain by hand, with each method's gate."""
    inputs = [x]
    for layer in model:
        inputs.append(layer(inputs[-1]))
    for name in ("guided_backprop", "deconvnet"):
        back = F.one_hot(target, 3).to(x)
        for layer, value in zip(reversed(model), reversed(inputs[:-1]), strict=True):
            if isinstance(layer, nn.ReLU):
                back = back.clamp(min=0) * ((value > 0) if name == "guided_backprop" else 1)
            else:
                back = torch.autograd.functional.vjp(layer, value, back)[1]
        torch.testing.assert_close(attribute(model, x, target, name), back.detach(), **CLOSE)


def test_deep_lift_closed_forms():
    """max(x1 - x2, 0) from zero: the change of the ReLU, shared by what moved its input."""
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double().eval()
    net[0].weight.data, net[2].weight.data = torch.tensor([[1.0, -1.0]]).double(), torch.tensor([[1.0]]).double()
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0]], dtype=torch.double)
    expected = torch.tensor([[3.0, -1.0], [0.0, 0.0]], dtype=torch.double)
    torch.testing.assert_close(attribute(net, x, torch.tensor([0, 0]), "deep_lift"), expected, **CLOSE)


@pytest.mark.parametrize("baseline", ["zero", "shared", "each"])
def test_deep_lift_adds_up_exactly(baseline, pictures, classes):
    start = {"zero": 0.0, "shared": torch.full((1, 3, 16, 16), 0.3).double(), "each": pictures.flip(0) / 2}[baseline]
    for net in (random_weights(plain()), random_weights(SmallCNN(classes=5)), random_weights(gelu())):
        a = attribute(net, pictures, classes, "deep_lift", baseline=start)
        before = torch.zeros_like(pictures) + start
        torch.testing.assert_close(
            a.flatten(1).sum(1), score(net, pictures, classes) - score(net, before, classes), rtol=1e-8, atol=1e-10
        )


def gelu():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(784, 8), nn.Sigmoid(), nn.Linear(8, 5))


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
        for place, share in ((window.argmax(), top - window0.max()), (window0.argmax(), window.max() - top)):
            contribution[b, c, 2 * i + place // 2, 2 * j + place % 2] += m[b, c, i, j] * share
    return torch.where((z - z0).abs() < 1e-10, 0, contribution / (z - z0))


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_deep_lift_through_max_pooling_as_the_paper_writes_it(start, pictures, classes):
    net = random_weights(plain())
    found = attribute(net, pictures, classes, "deep_lift", baseline=start)
    torch.testing.assert_close(found, slow_deep_lift(net, pictures, classes, start), rtol=1e-8, atol=1e-11)


# other libraries


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
        model = prepare(random_weights(plain()))
        found = attribute(model, pictures, classes, "lrp", composite=composite)
        theirs = self.relevance(model, composite, pictures, classes)
        assert (found - theirs).abs().max() <= 1e-6 * theirs.abs().max()

    @pytest.mark.parametrize("composite", COMPOSITE_NAMES)
    @pytest.mark.usefixtures("as_users_run")
    def test_residual_network(self, composite, classes):
        """torchvision's, where we see `out += identity` and Zennit wants a canonizer."""
        canonizer = pytest.importorskip("zennit.torchvision").ResNetCanonizer
        model = prepare(random_weights(resnet18(num_classes=5)))
        x = torch.randn(2, 3, 64, 64, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        found = attribute(model, x, classes, "lrp", composite=composite)
        theirs = self.relevance(model, composite, x, classes, [canonizer()])
        assert (found - theirs).abs().max() <= 1e-6 * theirs.abs().max()


class TestCaptum:
    @pytest.fixture(autouse=True)
    def captum(self):
        self.attr = pytest.importorskip("captum.attr")

    def ask(self, kind, model, x, target, **more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Captum announces its hooks
            return getattr(self.attr, kind)(model).attribute(x.clone().requires_grad_(), target=target, **more).detach()

    @pytest.mark.parametrize(("name", "kind"), [("guided_backprop", "GuidedBackprop"), ("deconvnet", "Deconvolution")])
    def test_rectified_gradients(self, name, kind, pictures, classes):
        for model in (random_weights(plain()), random_weights(Modules())):
            theirs = self.ask(kind, model, pictures, classes)
            found = attribute(model, pictures, classes, name)
            assert (found - theirs).abs().max() <= 1e-10 * theirs.abs().max()

    @pytest.mark.parametrize("baseline", [0.0, 0.3])
    def test_deep_lift(self, baseline, pictures, classes):
        model = random_weights(SmallCNN(classes=5))
        theirs = self.ask("DeepLift", model, pictures, classes, baselines=baseline)
        found = attribute(model, pictures, classes, "deep_lift", baseline=baseline)
        assert (found - theirs).abs().max() <= 1e-10 * theirs.abs().max()

    def test_traps(self, pictures, classes):
        """Where hooks on modules see nothing, Captum 0.9 answers with other numbers and no error. Ours are right."""
        modules, functional = random_weights(Modules()), Functional().double().eval()
        functional.load_state_dict(modules.state_dict())
        gradient = attribute(modules, pictures, classes, "gradient")
        assert torch.equal(self.ask("GuidedBackprop", functional, pictures, classes), gradient)
        for net in (functional, random_weights(gelu())):
            change = score(net, pictures, classes) - score(net, torch.zeros_like(pictures), classes)
            theirs = self.ask("DeepLift", net, pictures, classes).flatten(1).sum(1)
            ours = attribute(net, pictures, classes, "deep_lift").flatten(1).sum(1)
            assert ((theirs - change) / change).abs().max() > 0.01
            torch.testing.assert_close(ours, change, rtol=1e-8, atol=1e-10)

    def test_a_pool_right_behind_a_relu_is_another_trap(self, pictures, classes):
        model = random_weights(plain())
        expected = slow_deep_lift(model, pictures, classes, 0.0)
        theirs = self.ask("DeepLift", model, pictures, classes)
        assert (theirs - expected).abs().max() > 0.01 * expected.abs().max()


# refusals


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
        (RULES, Overwrites(), "overwritten in place"),
        (("guided_backprop", "deconvnet"), nn.GELU(), r"must have a ReLU\n  got: .*\n  try: xnb.attribute"),
    ],
)
def test_refusals(names, layer, says, x, target):
    net = nn.Sequential(nn.Flatten(), layer, nn.Linear(72, 3)).double().eval()
    for name in names:
        with pytest.raises(ValueError, match=says):
            attribute(net, x, target, name)


@pytest.mark.parametrize("name", RULES)
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


def test_unknown_composite(model, x, target):
    with pytest.raises(
        ValueError, match=r"one of \['alpha_beta', .*\n  got: 'epsilonplus'\n  try: composite='epsilon'"
    ):
        attribute(model, x, target, "lrp", composite="epsilonplus")


def test_a_composite_of_your_own(model, x, target):
    rules, _ = COMPOSITES["epsilon"]
    silent = {**rules, "relu": lambda call: call.on() * 0}
    assert attribute(model, x, target, "lrp", composite=(silent, None)).abs().max() == 0
