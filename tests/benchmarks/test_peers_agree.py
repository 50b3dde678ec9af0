"""On a trained network other libraries give the maps that ours are, in double precision."""

import importlib
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import xnb
from xnb import adapters, checkpoints, data
from xnb.methods.cam import layer_cam

TARGETS = torch.tensor([0, 1])
CAPTUM = {
    "gradient": ("Saliency", {"abs": False}),
    "gradient_times_input": ("InputXGradient", {}),
    "integrated_gradients": ("IntegratedGradients", {"n_steps": 32, "method": "gausslegendre"}),
    "deep_lift": ("DeepLift", {}),
    "guided_backprop": ("GuidedBackprop", {}),
    "deconvnet": ("Deconvolution", {}),
}


@pytest.fixture(scope="module")
def net():
    return checkpoints.load("smallcnn-shapes").double()


@pytest.fixture(scope="module")
def pictures():
    return data.shapes(n=(0, 2), seed=1).test.x.double()


def relative_gap(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", CAPTUM)
def test_captum(name, net, pictures):
    captum = pytest.importorskip("captum.attr")
    kind, knobs = CAPTUM[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting .*hooks")  # how Captum announces them
        theirs = adapters.from_captum(getattr(captum, kind), **knobs)(net, pictures, TARGETS)
    assert relative_gap(xnb.attribute(net, pictures, TARGETS, name), theirs) < 1e-6


def test_torch_cam(net, pictures):
    methods = pytest.importorskip("torchcam.methods")
    with methods.LayerCAM(net, "stage3") as extract:
        theirs = extract(TARGETS.tolist(), net(pictures), normalized=False)[0][:, None].detach()
    ours = layer_cam(net, pictures, TARGETS, layer="stage3", resize=False)
    assert relative_gap(ours, theirs) < 1e-10


def test_pytorch_grad_cam(net, pictures):
    """It answers in single precision, from 0 to 1, for the class with the largest score."""
    grad_cam = pytest.importorskip("pytorch_grad_cam")
    with grad_cam.GradCAM(net, [net.stage3]) as cam:
        theirs = torch.tensor(cam(pictures, None))[:, None]
    ours = xnb.attribute(net, pictures, net(pictures).argmax(1), "grad_cam")
    least = ours.amin((2, 3), keepdim=True)
    scaled = (ours - least) / (ours.amax((2, 3), keepdim=True) - least)
    assert relative_gap(scaled, theirs) < 1e-5


def test_zennit(pictures):
    zennit = pytest.importorskip("zennit.attribution")
    composite = importlib.import_module("zennit.composites").EpsilonPlus()
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False), nn.ReLU(), nn.Flatten()
    chain = nn.Sequential(*layers, nn.Linear(8 * 28 * 28, 6, bias=False)).double().eval()
    with zennit.Gradient(chain, composite) as explain:
        _, theirs = explain(pictures, lambda out: F.one_hot(TARGETS, 6) * out)
    assert relative_gap(xnb.attribute(chain, pictures, TARGETS, "lrp"), theirs) < 1e-10
