"""How many methods answer for families of networks, small but of the libraries' own code, and which of them refuse.

Of 39 methods, 11 look at attention over whole inputs or at tokens, 2 at ReLUs. Windows are no attention over whole
inputs; where there is no ReLU, guided backpropagation and deconvnet are right to refuse.

Tests: xnb.explanation.applicability
"""

import pytest
import torch
from timm.models.convnext import ConvNeXt as TimmConvNeXt
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from timm.models.vision_transformer import VisionTransformer as TimmVit
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.swin_transformer import SwinTransformer
from transformers import SwinConfig, SwinForImageClassification, ViTConfig, ViTForImageClassification

from xnb import METHODS, lint
from xnb.adapters import logits

WITHOUT_RELU = {"guided_backprop", "deconvnet"}
OF_ATTENTION = {name for name, card in METHODS.cards.items() if card.family == "attention"}


def timm_swin():
    return TimmSwin(
        img_size=32, patch_size=2, window_size=4, embed_dim=16, depths=(1, 2), num_heads=(2, 4), num_classes=5
    )


def torchvision_swin():
    return SwinTransformer(
        patch_size=[2, 2], embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=5
    )


def hugging_face_swin():
    config = SwinConfig(
        image_size=32, patch_size=2, window_size=4, embed_dim=16, depths=[1, 2], num_heads=[2, 4], num_labels=5
    )
    return logits(SwinForImageClassification(config))


def timm_vit():
    return TimmVit(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=5)


def hugging_face_vit():
    config = ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=5,
    )
    return logits(ViTForImageClassification(config))


def timm_convnext():
    return TimmConvNeXt(patch_size=2, depths=(1, 1, 1, 1), dims=(8, 8, 16, 16), num_classes=5)


def torchvision_convnext():
    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=5)


def of_signals():
    convolve = nn.Conv1d(2, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)
    return nn.Sequential(
        *convolve, nn.Conv1d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3)
    )


def of_volumes():
    convolve = nn.Conv3d(2, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2)
    return nn.Sequential(
        *convolve, nn.Conv3d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3)
    )


FAMILIES = {
    # windows of attention: 6 by gradient, LRP and DeepLIFT, 6 class activation maps, 7 by perturbation, 5 controls
    "timm's Swin": (timm_swin, (3, 32, 32), WITHOUT_RELU | OF_ATTENTION, 26),
    "torchvision's Swin": (torchvision_swin, (3, 32, 32), WITHOUT_RELU | OF_ATTENTION, 26),
    "Hugging Face's Swin": (hugging_face_swin, (3, 32, 32), WITHOUT_RELU | OF_ATTENTION, 26),
    # leaving out one input of an attention is exact for one head and one query
    "timm's ViT": (timm_vit, (3, 32, 32), WITHOUT_RELU | {"leave_one_out"}, 36),
    "Hugging Face's ViT": (hugging_face_vit, (3, 32, 32), WITHOUT_RELU | {"leave_one_out"}, 36),
    "signals": (of_signals, (2, 64), OF_ATTENTION, 28),
    "volumes": (of_volumes, (2, 12, 12, 12), OF_ATTENTION, 28),
    "timm's ConvNeXt": (timm_convnext, (3, 32, 32), WITHOUT_RELU | OF_ATTENTION, 26),
    "torchvision's ConvNeXt": (torchvision_convnext, (3, 32, 32), WITHOUT_RELU | OF_ATTENTION, 26),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("as_users_run")
def test_all_methods_answer_but_those_that_have_nothing_to_look_at(family):
    """The numbers are those of `FAMILIES`: what refuses is refused for a reason that the family gives."""
    make, shape, refusing, count = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make().eval()
        x = torch.randn(1, *shape)
    table = lint(net, x)
    refused = table[~table["valid"]]
    assert set(refused.index) == refusing, refused["reason"].to_dict()
    assert table["valid"].sum() == count
