"""Published architectures, with random weights: what can be explained depends on the operations, not on the weights.

The smallest member of each family stands for it. Batch norms have seen random pictures, so that no activation is
blown up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import xnb


@dataclass(frozen=True)
class Published:
    """A network of a library.

    Attributes:
        library: torchvision, timm or transformers.
        name: of the network there.
        make: builds it, with ten classes.
        side: of the pictures that it takes, as small as it can.
    """

    library: str
    name: str
    make: Callable[[], nn.Module]
    side: int = 64

    def build(self) -> nn.Module:
        """The network in evaluation mode, the same weights at every call; the global generator is left alone."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = self.make()
            for module in model.modules():
                draw_zero_layers(module)
        return calibrate(model, self.pictures(8))

    def pictures(self, count: int) -> Tensor:
        rng = torch.Generator().manual_seed(1)
        return torch.randn(count, 3, self.side, self.side, generator=rng)


def draw_zero_layers(module: nn.Module) -> None:
    """Give weights to a layer that starts at zero, as heads of some networks do: all their answers would be zero."""
    if isinstance(module, nn.Linear) and not module.weight.any():
        nn.init.normal_(module.weight, std=0.02)


def calibrate(model: nn.Module, x: Tensor) -> nn.Module:
    """Let batch norms take mean and variance from these pictures, layer after layer, and return the model."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = None  # the plain mean of what is seen
    with torch.no_grad():
        for _ in range(2 if norms else 0):
            model(x)
    return model.eval()


def _from_torchvision(name: str) -> nn.Module:
    from torchvision.models import get_model

    more: dict[str, Any] = {"init_weights": True} if name in {"googlenet", "inception_v3"} else {}
    return get_model(name, weights=None, num_classes=10, **more)


def _from_timm(name: str, **knobs: Any) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=10, **knobs)


def _from_transformers(name: str) -> nn.Module:
    """A network of that kind with two small layers, its logits alone."""
    import transformers

    config = getattr(transformers, f"{name}Config")(num_labels=10, **_SMALL[name])
    return xnb.adapters.logits(getattr(transformers, f"{name}ForImageClassification")(config).eval())


_TOKENS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
_SMALL: dict[str, dict[str, Any]] = {
    "ViT": _TOKENS,
    "DeiT": _TOKENS,
    "Beit": _TOKENS,
    "Dinov2": {name: value for name, value in _TOKENS.items() if name != "intermediate_size"},
    "Swin": {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    "ConvNext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"},
}


def _torchvision(name: str, side: int = 64) -> Published:
    return Published("torchvision", name, partial(_from_torchvision, name), side)


def _timm(name: str, side: int = 64, **knobs: Any) -> Published:
    return Published("timm", name, partial(_from_timm, name, **knobs), side)


NETWORKS = (
    _torchvision("alexnet"),
    _torchvision("convnext_tiny"),
    _torchvision("densenet121"),
    _torchvision("efficientnet_b0"),
    _torchvision("efficientnet_v2_s"),
    _torchvision("googlenet"),
    _torchvision("inception_v3", 96),
    _torchvision("maxvit_t", 224),
    _torchvision("mnasnet0_5"),
    _torchvision("mobilenet_v2"),
    _torchvision("mobilenet_v3_small"),
    _torchvision("regnet_x_400mf"),
    _torchvision("regnet_y_400mf"),
    _torchvision("resnet18"),
    _torchvision("resnext50_32x4d"),
    _torchvision("shufflenet_v2_x0_5"),
    _torchvision("squeezenet1_1"),
    _torchvision("swin_t"),
    _torchvision("swin_v2_t"),
    _torchvision("vgg11"),
    _torchvision("vit_b_16", 224),
    _torchvision("wide_resnet50_2"),
    _timm("resnet10t"),
    _timm("vit_tiny_patch16_224", img_size=64),
    _timm("deit_tiny_distilled_patch16_224", img_size=64),
    _timm("convnext_atto"),
    _timm("efficientnet_lite0"),
    _timm("mobilenetv3_small_050"),
    _timm("mobilenetv4_conv_small"),
    _timm("regnetx_002"),
    _timm("swin_tiny_patch4_window7_224", img_size=64, window_size=2),
    _timm("eva02_tiny_patch14_224", 56, img_size=56),
    _timm("beit_base_patch16_224", img_size=64),
    _timm("mixer_s16_224", img_size=64),
    *[Published("transformers", name, partial(_from_transformers, name)) for name in _SMALL],
)
