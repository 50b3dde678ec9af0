"""Vision Transformers of three libraries, in three stages and as they are: the same logits, and the same maps.

Tests: xnb.access.attention.stages
"""

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from xnb import attribute
from xnb.adapters import logits, vision_transformer
from xnb.models import ViT

METHODS = ["legrad", "attcat", "token_cam", "token_occlusion", "rollout"]
TARGET = torch.tensor([0, 2])
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
PICTURES = {"image_size": 32, "patch_size": 8, "num_labels": 3}


def from_hugging_face(name, **sizes):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**SIZES, **PICTURES, **sizes)
    return getattr(transformers, f"{name}ForImageClassification")(config)


def from_timm(name):
    timm = pytest.importorskip("timm")
    return timm.create_model(name, img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, num_classes=3)


MODELS = {
    "torchvision": lambda: VisionTransformer(32, 8, 2, 2, 16, 24, num_classes=3),
    "timm vit": lambda: from_timm("vit_tiny_patch16_224"),
    "timm deit distilled": lambda: from_timm("deit_tiny_distilled_patch16_224"),
    "timm eva02": lambda: from_timm("eva02_tiny_patch14_224"),
    "timm beit": lambda: from_timm("beit_base_patch16_224"),
    "timm registers": lambda: from_timm("vit_small_patch14_reg4_dinov2"),
    "ViT": lambda: from_hugging_face("ViT"),
    "DeiT": lambda: from_hugging_face("DeiT"),
    "Dinov2": lambda: from_hugging_face("Dinov2"),
    "Beit": lambda: from_hugging_face("Beit"),
}
# their positions are inside attention: relative to a picture of one size
FIXED = {"timm eva02", "timm beit"}


@pytest.fixture
def model(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = MODELS[kind]().double().eval()
        for weights in built.parameters():
            nn.init.normal_(weights, 0, 0.3)
    return built


@pytest.fixture
def x():
    return torch.randn(2, 3, 32, 32, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", MODELS)
def test_stages_give_the_logits_of_the_model(model, x):
    staged = vision_transformer(model)
    expected = logits(model)(x)
    assert torch.equal(staged(x), expected)
    torch.testing.assert_close(staged.run_stages(x), expected, rtol=1e-10, atol=1e-10)
    assert len(staged.blocks) == 2
    assert {id(weights) for weights in staged.parameters()} == {id(weights) for weights in model.parameters()}


@pytest.mark.parametrize("kind", MODELS)
def test_methods_find_the_stages_themselves(model, x, kind):
    """Each of 4 x 4 patches has one value, and it is the same with the stages and without."""
    staged = vision_transformer(model, x)
    for name in METHODS:
        if name == "token_occlusion" and kind in FIXED:
            with pytest.raises(ValueError, match="blocks must run on fewer tokens"):
                attribute(staged, x, TARGET, name)
            continue
        found = attribute(staged, x, TARGET, name)
        cells = found[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(8, 3)
        torch.testing.assert_close(found, cells, rtol=0, atol=0)
        torch.testing.assert_close(attribute(logits(model), x, TARGET, name), found)


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="blocks that hand tokens"):
        vision_transformer(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(3)).eval())
    with pytest.raises(ValueError, match="must be a module"):
        vision_transformer(lambda x: x)


def test_the_pictures_size_is_that_of_the_model():
    """A model for 16 grey pixels is run on them."""
    assert len(vision_transformer(ViT(16, 4, channels=1, depth=1).eval(), torch.rand(1, 1, 16, 16)).blocks) == 1
    with torch.random.fork_rng():
        grey = VisionTransformer(16, 4, 1, 2, 8, 16, num_classes=3)
        grey.conv_proj = nn.Conv2d(1, 8, 4, 4)
    assert len(vision_transformer(grey.eval()).blocks) == 1
