"""Where another library answers with a wrong or different number and no error: ours is right, or refuses.

Others stand beside their methods: what hooks on modules do not see in test_guided.py and test_deep_lift.py, and
conventions of class activation maps in test_cam_libraries.py.
"""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.score import score
from xnb.models import Net

captum = pytest.importorskip("captum.attr")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries announce hooks and conversions
        yield


def gap(a, model, x, target):
    change = score(model, x, target) - score(model, torch.zeros_like(x), target)
    return ((a.flatten(1).sum(1) - change) / change).abs().max()


def bent(*middle):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 16), *middle, nn.Linear(16, 3)).double().eval()


def test_dropout_in_training_mode(x, target):
    """Captum's integrated gradients of a model in training mode: two answers to one question."""
    model = bent(nn.ReLU(), nn.Dropout(0.5)).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = (captum.IntegratedGradients(model).attribute(x, target=target) for _ in range(2))
    assert (first - second).abs().max() > 0.1 * first.abs().max()
    with pytest.raises(ValueError, match=r"evaluation mode\n.*\n  try: model.eval\(\)"):
        attribute(model, x, target)


def test_a_layer_that_is_there_and_not_used(x, target):
    """Captum's LRP goes by what a model contains and refuses it as a whole, ours by what is called."""

    class Spare(nn.Sequential):
        def forward(self, x):
            return self[2](self[1](self[0](x)))

    def theirs(model):  # a copy: when it fails, it leaves its hooks behind
        return captum.LRP(copy.deepcopy(model)).attribute(rows, target=target).detach()

    used, rows = bent(nn.ReLU())[1:], x.flatten(1)
    model = Spare(*used, nn.LayerNorm(3)).eval()
    with pytest.raises(TypeError, match="LayerNorm"):
        theirs(model)
    ours, expected = attribute(model, rows, target, "lrp", composite="epsilon"), theirs(used)
    assert (ours - expected).abs().max() <= 1e-4 * expected.abs().max()  # their epsilon is another


@pytest.mark.parametrize("middle", [nn.LayerNorm(16), nn.Softmax(1)])
def test_deep_lift_through_what_mixes_values(middle, x, target):
    """Captum's DeepLIFT goes through a layer norm as if its slope were its rule: its sum is off, ours is the change."""
    model = bent(middle, nn.Linear(16, 16), nn.ReLU())
    theirs = captum.DeepLift(model).attribute(x, target=target)
    if isinstance(middle, nn.LayerNorm):
        assert gap(theirs, model, x, target) > 0.05
    assert gap(attribute(model, x, target, "deep_lift"), model, x, target) < 1e-9


def test_double_precision_comes_back_as_single(model, x, target):
    assert captum.Occlusion(model).attribute(x, (2, 2, 2), target=target).dtype == torch.float32
    assert attribute(model, x, target, "occlusion", window=2).dtype == torch.float64
    regions = torch.arange(36).view(1, 6, 6) // 5
    assert captum.KernelShap(model).attribute(x[:1], target=target[:1], feature_mask=regions).dtype == torch.float32
    assert attribute(model, x, target, "kernel_shap", regions=regions).dtype == torch.float64


def test_half_precision_comes_back_as_single_or_not_at_all(x, target):
    model, half = bent(nn.ReLU()).bfloat16(), x.bfloat16()
    assert captum.IntegratedGradients(model).attribute(half, target=target).dtype == torch.float32
    with pytest.raises(RuntimeError):
        captum.GradientShap(model).attribute(half, torch.zeros_like(half), target=target)
    for name in ("integrated_gradients", "expected_gradients"):
        assert attribute(model, half, target, name).dtype == torch.bfloat16


def test_noise_of_one_unit_whatever_the_unit(x, target):
    """Captum's NoiseTunnel adds noise of deviation 1: another answer for the same pictures in 0 to 255."""

    class Unit(nn.Module):
        def forward(self, x):
            return x / 255

    model = bent(nn.Tanh())
    other = nn.Sequential(Unit(), model).eval()

    def theirs(model, x):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return captum.NoiseTunnel(captum.Saliency(model)).attribute(x, target=target, abs=False, nt_samples=50)

    same = theirs(model, x)
    assert (255 * theirs(other, 255 * x) - same).abs().max() > 0.1 * same.abs().max()
    ours = attribute(model, x, target, "smoothgrad")
    torch.testing.assert_close(255 * attribute(other, 255 * x, target, "smoothgrad"), ours)


@pytest.mark.parametrize("rule", ["riemann_trapezoid", "riemann_right"])
def test_a_trapezoid_that_converges_as_slowly_as_a_right_sum(rule, x, target):
    """Captum's `riemann_trapezoid` weighs its nodes to (n - 1) / n: ten times the steps, a tenth of the error."""
    model = bent(nn.Tanh())

    def theirs(steps):
        return captum.IntegratedGradients(model).attribute(x, target=target, n_steps=steps, method=rule)

    slow = gap(theirs(20), model, x, target) / gap(theirs(200), model, x, target)
    fast = gap(attribute(model, x, target, steps=20, quadrature="midpoint"), model, x, target) / gap(
        attribute(model, x, target, steps=200, quadrature="midpoint"), model, x, target
    )
    assert 5 < slow < 20
    assert 50 < fast < 200


def test_ten_features_are_not_all(target):
    """shap's KernelExplainer keeps 10 features by default; the model uses all 30."""
    shap = pytest.importorskip("shap")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = Net(30).eval(), torch.randn(1, 30)
    explainer = shap.KernelExplainer(
        lambda z: model(torch.tensor(z).float())[:, :1].detach().numpy(), np.zeros((1, 30))
    )
    theirs = explainer.shap_values(x.numpy(), silent=True)
    assert np.count_nonzero(theirs) <= 10
    ours = attribute(model, x, torch.tensor([0]), "kernel_shap", samples=2000)
    assert np.count_nonzero(ours) == 30


def test_too_few_samples_by_default(x, target):
    """Captum's KernelShap takes 25 samples unless told otherwise: for 8 regions a third off the exact values."""
    model = bent(nn.ReLU())
    regions = torch.arange(36).view(1, 6, 6) // 5
    exact = attribute(model, x, target, "exact_shapley", regions=regions)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = captum.KernelShap(model).attribute(x, target=target, feature_mask=regions[None])[:, :1]
    ours = attribute(model, x, target, "kernel_shap", regions=regions)
    assert (theirs - exact).norm() > 0.1 * exact.norm()
    torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-11)  # 512 samples are more than the 254 coalitions
