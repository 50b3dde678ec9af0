"""Whatever `lint` allows runs on networks of ImageNet, and whatever it refuses is refused, with few changes a method.

ResNet-18 on 64 pixels always; with XNB_TRUST=1, minutes each, networks of full size on a photograph of 224 pixels.
"""

import os
import warnings

import pytest
import skimage.data
import torch
from torch import nn
from torchvision import models

from xnb import attribute, lint
from xnb.access.score import logits
from xnb.check import PromiseWarning
from xnb.models import Preprocess

LARGE = ("resnet50", "convnext_tiny", "vit_b_16")
# a layer with fewer channels than the last: these methods take a pass for each
NARROW = {"resnet18": "layer1", "resnet50": "conv1", "convnext_tiny": "features.0", "vit_b_16": None}


def choose_knobs(name, method, side):
    """What keeps a test short."""
    rows = torch.arange(side) * 4 // side
    regions = rows[:, None] * 4 + rows  # 16 squares
    few = {"regions": regions, "samples": 32}
    halves = {"regions": (rows // 2)[:, None] * 2 + rows // 2}
    knobs = {
        "integrated_gradients": {"steps": 4},
        "smoothgrad": {"samples": 4},
        "vargrad": {"samples": 4},
        "expected_gradients": {"samples": 4},
        "occlusion": {"window": side // 4},
        "rise": {"samples": 16},
        "lime": few,
        "kernel_shap": few,
        "feature_ablation": {"regions": regions},
        "permutation_shapley": {**halves, "samples": 2},
        "exact_shapley": halves,
        "score_cam": {"layer": NARROW[name]},
        "ablation_cam": {"layer": NARROW[name]},
    }
    return knobs.get(method, {})


def build(name, x):
    """The network with random weights, whose batch norms have seen the photographs: no signal dies or blows up."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.get_model(name, weights=None).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = None
    logits_of = model(x) if norms else None
    assert logits_of is None or logits_of.isfinite().all()
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():  # the head of a ViT: every answer would be zero
            nn.init.normal_(layer.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    return model.eval()


def photographs(name, side):
    """Four photographs, preprocessed; the first is the one that is explained."""
    preprocess = Preprocess.of(models.get_model_weights(name).DEFAULT)
    small = Preprocess(side, side, preprocess.mean, preprocess.std)
    pictures = [getattr(skimage.data, name)() for name in ("chelsea", "coffee", "rocket", "astronaut")]
    return torch.cat([small(picture) for picture in pictures])


def try_all(name, side):
    pictures = photographs(name, side)
    model, x = build(name, pictures), pictures[:1]
    target = logits(model, x).argmax(1)
    verdicts = lint(model, x)
    assert verdicts["valid"].sum() >= 26
    for method, valid in verdicts["valid"].items():
        knobs = choose_knobs(name, method, side)
        if not valid:
            with pytest.raises(ValueError, match="\n  got: "):
                attribute(model, x, target, method, **knobs)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PromiseWarning)  # few steps, few samples
            a = attribute(model, x, target, method, **knobs)
        assert a.isfinite().all(), method
        assert a.any() or method == "constant", method
        torch.broadcast_shapes(a.shape, x.shape)


@pytest.mark.usefixtures("as_users_run")
def test_every_allowed_method_runs_on_a_small_photograph():
    try_all("resnet18", 64)


@pytest.mark.skipif(not os.environ.get("XNB_TRUST"), reason="minutes for each network: XNB_TRUST=1")
@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("name", LARGE)
def test_every_allowed_method_runs_at_full_size(name):
    try_all(name, 224)
