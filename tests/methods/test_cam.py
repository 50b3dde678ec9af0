"""Class activation maps: closed forms, and slow twins written as the papers write them.

Tests: xnb.methods.cam_by_channel

Slow twins: grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, score_cam, ablation_cam
"""

import pytest
import torch
from networks import with_seed
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from xnb.access.layout.layer_maps import find_layer
from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.access.score import score
from xnb.methods.cam import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from xnb.methods.cam_by_channel import ablation_cam, score_cam
from xnb.models.cnn import SmallCNN
from xnb.models.fastnet import FastNet

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
BY_GRADIENT = (grad_cam, grad_cam_plus_plus, hires_cam, layer_cam)
EVERY = (*BY_GRADIENT, score_cam, ablation_cam)


@pytest.fixture
def pictures():
    return torch.randn(3, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def residual():
    return with_seed(lambda: SmallCNN(classes=3, widths=(4, 6, 8))).double()


@pytest.fixture
def pooled():
    """Average pooling and one linear layer: the network that class activation maps were first made for."""

    def make():
        return nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(5, 3))

    return with_seed(make).double()


# Slow twins. `model` is a chain, `at` the number of the layer in it whose maps are looked at.


def split(model, x, target, at):
    """Each input's maps and the score as a function of them."""
    for one, c in zip(x, target, strict=True):
        yield model[: at + 1](one[None])[0].detach(), lambda maps, c=c: model[at + 1 :](maps[None])[0, c]


def slow_grad_cam(model, x, target, at):
    out = []
    for A, f in split(model, x, target, at):
        G = torch.autograd.functional.jacobian(f, A)
        out.append(sum(G[k].sum() / G[k].numel() * A[k] for k in range(len(A))).clamp(min=0))
    return torch.stack(out)[:, None]


def slow_grad_cam_plus_plus(model, x, target, at):
    """Y = exp(f) and its first three derivatives along every single activation, by automatic differentiation."""
    out = []
    for A, f in split(model, x, target, at):

        def along(direction, A=A, f=f):
            Y = lambda step: f(A + step * direction).exp()  # noqa: E731
            first, second = torch.func.grad(Y), torch.func.grad(torch.func.grad(Y))
            zero = torch.zeros((), dtype=A.dtype)
            return torch.stack([first(zero), second(zero), torch.func.grad(second)(zero)])

        units = torch.eye(A.numel(), dtype=A.dtype).view(-1, *A.shape)
        one, two, three = (d.view(A.shape) for d in torch.func.vmap(along)(units).T)
        alpha = two / (2 * two + A.sum((1, 2), keepdim=True) * three)
        weights = (alpha.where(one != 0, 0) * one.clamp(min=0)).sum((1, 2))
        out.append(torch.einsum("k,kij->ij", weights, A).clamp(min=0) / f(A).exp())
    return torch.stack(out)[:, None]


def slow_hires_cam(model, x, target, at):
    out = [(torch.autograd.functional.jacobian(f, A) * A).sum(0).clamp(min=0) for A, f in split(model, x, target, at)]
    return torch.stack(out)[:, None]


def slow_layer_cam(model, x, target, at):
    out = []
    for A, f in split(model, x, target, at):
        G = torch.autograd.functional.jacobian(f, A)
        out.append((G.clamp(min=0) * A).sum(0).clamp(min=0))
    return torch.stack(out)[:, None]


@torch.no_grad()
def slow_score_cam(model, x, target, at):
    out = []
    for (A, _), one, c in zip(split(model, x, target, at), x, target, strict=True):
        scores = []
        for channel in A:
            mask = F.interpolate(channel[None, None], one.shape[1:], mode="bilinear")[0, 0]
            mask = (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > mask.min() else mask * 0
            scores.append(model((one * mask)[None])[0, c] - model(torch.zeros_like(one)[None])[0, c])
        out.append(torch.einsum("k,kij->ij", torch.stack(scores).softmax(0), A).clamp(min=0))
    return torch.stack(out)[:, None]


@torch.no_grad()
def slow_ablation_cam(model, x, target, at):
    out = []
    for A, f in split(model, x, target, at):
        cam = torch.zeros_like(A[0])
        for k in range(len(A)):
            without = A.clone()
            without[k] = 0
            cam += (f(A) - f(without)) / f(A) * A[k]
        out.append(cam.clamp(min=0))
    return torch.stack(out)[:, None]


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
@pytest.mark.parametrize("at", [1, 3])
def test_as_the_paper_writes_it(method, at, model, x, target):
    expected = globals()[f"slow_{method.__name__}"](model, x, target, at)
    found = method(model, x, target, layer=str(at), resize=False)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert (found > 0).any()


def test_masks_are_enlarged_before_they_are_normalised(x, target):
    """At half the resolution, where the order matters."""

    def make():
        return nn.Sequential(nn.Conv2d(2, 5, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 3))

    model = with_seed(make).double()
    found = score_cam(model, x, target, layer="1", resize=False)
    torch.testing.assert_close(found, slow_score_cam(model, x, target, 1), **CLOSE)


def test_hires_cam_shares_the_score(model, x, target):
    """One linear layer follows: what supports the class less what speaks against it is the score."""
    against = with_seed(lambda: nn.Sequential(*model[:5], nn.Linear(144, 3, bias=False))).double()
    against[5].weight.data = -model[5].weight.data
    shares = [hires_cam(net, x, target).sum((1, 2, 3)) for net in (model, against)]
    torch.testing.assert_close(shares[0] - shares[1], score(model, x, target), **CLOSE)


def test_grad_cam_is_the_class_activation_map(pooled, x, target):
    """After average pooling the weights of the channels are w_k / (h w), and Grad-CAM is HiResCAM."""
    maps = pooled[:2](x)
    expected = torch.einsum("bk,bkij->bij", pooled[4].weight[target] / 16, maps)[:, None]
    for method in (grad_cam, hires_cam):
        torch.testing.assert_close(method(pooled, x, target, resize=False), expected.relu().detach(), **CLOSE)
    share = expected.flatten(1).sum(1) + pooled[4].bias[target]
    torch.testing.assert_close(share, pooled(x).gather(1, target[:, None])[:, 0])


def test_ablation_weights_of_a_linear_head(pooled, x, target):
    """Without a bias channel k loses the share w_k mean(A_k) of the score."""
    pooled[4].bias.data.zero_()
    maps = pooled[:2](x).detach()
    share = pooled[4].weight[target].detach() * maps.mean((2, 3))
    weights = share / share.sum(1, keepdim=True)
    expected = torch.einsum("bk,bkij->bij", weights, maps).relu()[:, None]
    torch.testing.assert_close(ablation_cam(pooled, x, target, resize=False), expected, **CLOSE)


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
def test_enlarged_to_the_input(method, residual, pictures):
    target = torch.tensor([0, 1, 2])
    small = method(residual, pictures, target, layer="stage3", resize=False)
    assert small.shape == (3, 1, 4, 4)
    large = F.interpolate(small, (16, 16), mode="bilinear", align_corners=False)
    assert torch.equal(method(residual, pictures, target, layer="stage3"), large)


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
def test_half_precision(method, residual, pictures):
    half = method(residual.bfloat16(), pictures.bfloat16(), torch.tensor([0, 1, 2]))
    assert half.dtype == torch.bfloat16
    assert half.isfinite().all()


def test_one_pass_answers_four_methods(residual, pictures):
    target = torch.tensor([0, 1, 2])
    with count_passes() as passes, remember_answers():
        for method in BY_GRADIENT:
            method(residual, pictures, target)
    assert (passes.forward, passes.backward) == (1 + 3, 3)  # one input to find the layer


def test_passes(residual, pictures):
    target = torch.tensor([0, 1, 2])
    with count_passes() as passes:
        score_cam(residual, pictures, target, layer="stage3")
    assert (passes.forward, passes.backward) == (3 * (1 + 8), 0)
    with count_passes() as passes:
        ablation_cam(residual, pictures, target, layer="stage3")
    assert (passes.forward, passes.backward) == (3 * (2 + 8), 0)  # with one trial of what was recorded


class TestDefaultLayer:
    def test_of_a_chain(self, model, x):
        assert find_layer(model, x) == "3"

    @pytest.mark.parametrize(
        ("make", "side", "layer"),
        [(SmallCNN, 16, "stage3"), (lambda: resnet18(weights=None), 64, "layer4"), (FastNet, 64, "head")],
        ids=["SmallCNN", "resnet18", "FastNet"],
    )
    def test_is_the_last_stage(self, make, side, layer):
        model, target = with_seed(make), torch.tensor([1, 2])
        x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
        assert find_layer(model, x) == layer
        assert torch.equal(grad_cam(model, x, target), grad_cam(model, x, target, layer=layer))

    def test_passes_over_a_module_that_is_used_twice(self, pictures):
        class Reuse(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.two, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3), nn.ReLU()

            def forward(self, x):
                return self.relu(self.two(self.relu(self.one(x)))).mean((2, 3))

        assert find_layer(with_seed(Reuse).double(), pictures) == "two"

    @pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
    def test_a_perceptron_has_none(self, method, pictures):
        mlp = with_seed(lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.ReLU(), nn.Linear(4, 3))).double()
        message = r"no module of the model is known to return maps\n  got: 'Sequential'\n  try: xnb\.attribute\("
        with pytest.raises(ValueError, match=message):
            method(mlp, pictures, torch.tensor([0, 1, 2]))


class TestRefusals:
    @pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
    def test_layer_that_is_no_map(self, method, model, x, target):
        with pytest.raises(
            ValueError, match=r"layer: '5' must return maps, .*\n  got: float64\[\d,3\]\n  try: layer='3'"
        ):
            method(model, x, target, layer="5")

    @pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
    def test_misspelt_layer(self, method, residual, pictures):
        with pytest.raises(ValueError, match=r"no module of that name .*\n  got: 'stage4'\n  try: one of \['stage3'"):
            method(residual, pictures, torch.tensor([0, 1, 2]), layer="stage4")

    @pytest.mark.usefixtures("as_users_run")
    @pytest.mark.parametrize("layer", ["3", None])
    @pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
    def test_a_function_has_no_layers(self, method, layer, model, x, target):
        with pytest.raises(ValueError, match=r"hooks: only an nn\.Module has layers\n  got: <function"):
            method(lambda z: model(z), x, target, layer=layer)

    def test_rows_of_a_table(self, model, x, target):
        with pytest.raises(ValueError, match=r"x must be signals \(B, C, T\), pictures .*\n  got: float64\[5,72\]"):
            grad_cam(model, x.flatten(1), target)

    @pytest.mark.parametrize("method", BY_GRADIENT, ids=lambda method: method.__name__)
    def test_no_gradient(self, method, x, target):
        class Steps(nn.Module):
            def forward(self, x):
                return x.sign().flatten(1).detach()

        steps = with_seed(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), Steps(), nn.Linear(48, 3))).double()
        with pytest.raises(ValueError, match=r"layer: no gradient of the score reaches it\n  got: '0'"):
            method(steps, x, target)
        assert ablation_cam(steps, x, target).abs().sum() > 0
