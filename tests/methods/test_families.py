"""The smallest member of every family of torchvision, and of the ten most used of timm, on pictures of 32 pixels.

Weights are random, running statistics those of the batch. By rules and along a path every one of them is explained:
the pass under rules returns the model's own logits, and DeepLIFT adds up in double precision, through squeeze and
excitation, attention, windows, layer norms and overlapping pools alike.
"""

import datetime

import pytest
import torch
import torchvision
from torch import nn

from xnb import attribute
from xnb.access.functions.function_kinds import AFFINE
from xnb.access.functions.function_rules import apply_rules
from xnb.access.score import logits, score
from xnb.methods.lrp_rules import COMPOSITES

SHAPES = {"alexnet": 64, "inception_v3": 75, "swin_tiny_patch4_window7_224": 64, "eva02_tiny_patch14_224": 28}
SMALL = ["convnext", "densenet", "maxvit", "swin", "swin_v2", "vit"]
TORCHVISION = (
    "alexnet efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet0_5 mobilenet_v2 mobilenet_v3_small "
    "regnet_x_400mf regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 vgg11_bn"
).split()
TIMM = (
    "resnet18 efficientnet_b0 vit_tiny_patch16_224 convnext_atto swin_tiny_patch4_window7_224 deit_tiny_patch16_224 "
    "mobilenetv3_small_050 regnety_002 eva02_tiny_patch14_224 densenet121"
).split()
SIZED = ("vit_", "deit_", "swin_tiny", "eva02_")  # models that are built for one size of pictures


def make_small(name, side):
    """Families whose smallest member is large, made of the same parts: two short stages in place of four long ones."""
    two = {"depths": [1, 2], "num_heads": [2, 4], "window_size": [4, 4], "patch_size": [4, 4], "embed_dim": 16}
    swin = torchvision.models.swin_transformer
    convnext = torchvision.models.convnext
    stages = [convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 2)]
    widths = {"block_channels": [16, 32], "block_layers": [1, 1], "head_dim": 8, "stem_channels": 16}
    makers = {
        "convnext": lambda: convnext.ConvNeXt(stages, num_classes=5),
        "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), num_classes=5),
        "maxvit": lambda: torchvision.models.MaxVit(
            (side, side), partition_size=4, stochastic_depth_prob=0, num_classes=5, **widths
        ),
        "swin": lambda: swin.SwinTransformer(**two, num_classes=5),
        "swin_v2": lambda: swin.SwinTransformer(
            **two, num_classes=5, block=swin.SwinTransformerBlockV2, downsample_layer=swin.PatchMergingV2
        ),
        "vit": lambda: torchvision.models.VisionTransformer(side, 16, 2, 2, 32, 64, num_classes=5),
    }
    return makers[name]()


def make_torchvision(name, side):
    knobs = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    return getattr(torchvision.models, name)(weights=None, num_classes=5, **knobs)


def make_timm(name, side):
    timm = pytest.importorskip("timm")
    return timm.create_model(name, num_classes=5, **({"img_size": side} if name.startswith(SIZED) else {}))


def awake(model, x):
    """In double precision, with the running statistics of x, and no weight at zero: heads often start there."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train().momentum = None
    for weights in model.parameters():
        if not weights.any() or weights.ndim == 1:
            weights.data = weights + 0.1 * torch.randn(weights.shape)
    with torch.no_grad():
        model(x)
    return model.double().eval()


FAMILIES = [
    *[(make_small, name) for name in SMALL],
    *[(make_torchvision, name) for name in TORCHVISION],
    *[(make_timm, name) for name in TIMM],
]


TODAY = datetime.date.today().toordinal() % 6  # each day a sixth of them under all checks, which take two minutes


def build_and_draw(make, name):
    """The network in double precision, and two pictures with the classes that it sees in them."""
    side = SHAPES.get(name, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(4, 3, side, side)
        model = awake(make(name, side).eval(), x)
    x = x[:2].double()
    return model, x, logits(model, x).argmax(1)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("make", "name"), FAMILIES)
def test_rules_and_a_path_explain_it(make, name):
    model, x, target = build_and_draw(make, name)
    relevance = attribute(model, x[:1], target[:1], "lrp")
    assert relevance.isfinite().all()
    assert relevance.any()
    slopes = attribute(model, x[:1], target[:1], "integrated_gradients", steps=2)
    assert slopes.isfinite().all()
    assert slopes.any()


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(("make", "name"), FAMILIES[TODAY::6])
def test_passes_under_rules_return_its_logits_and_differences_add_up(make, name):
    model, x, target = build_and_draw(make, name)
    surrogate = apply_rules(model, COMPOSITES["epsilon_plus"].rules, who="lrp", pending=frozenset(AFFINE))
    torch.testing.assert_close(logits(surrogate, x), logits(model, x), rtol=1e-6, atol=1e-9)
    change = score(model, x, target) - score(model, x.flip(0), target)
    shares = attribute(model, x, target, "deep_lift", baseline=x.flip(0))
    torch.testing.assert_close(shares.flatten(1).sum(1), change, rtol=1e-4, atol=1e-6)
