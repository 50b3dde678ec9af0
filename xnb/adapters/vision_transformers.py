"""Vision Transformers of torchvision, timm and Hugging Face in the three stages of `xnb.models.vit.Transformer`."""

from typing import Any

import torch
from torch import Tensor, nn

from xnb.access.attention.stages import Block, Stages, search_stages
from xnb.adapters.outputs import find_logits
from xnb.adapters.wrapping import WrappedModel
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model

_WITHOUT_TOKENS = "xnb.attribute(model, x, target, 'integrated_gradients')  # needs no tokens"
_NEEDS_INPUT = "xnb.adapters.vision_transformer(model, x)  # an input that the model takes"
_TOLERANCE = 1e-4  # in parts of the largest logit: rounding of float32 through many layers


def vision_transformer(model: Model, x: Batch | None = None) -> "StagedTransformer":
    """Return the model in three stages, `readout(blocks(tokens(x)))`, and with its logits alone.

    Nothing is copied: `forward` is the model's own, and the blocks are its own modules. They are found by running it
    on one input: the longest row of modules that hand tokens `(B, N, D)` to one another and contain attention. Methods
    find them without this function too; it is for running the stages by hand.

    Args:
        x: an input to run it on; None makes a grey picture of the size that the model names.

    Raises:
        ValueError: no such row of blocks, or the stages do not give the model's logits.
    """
    if not isinstance(model, nn.Module):
        refuse("vision_transformer: the model must be a module", model, _WITHOUT_TOKENS)
    example = _make_picture(model) if x is None else x[:1]
    whole = _WithLogits(model)
    stages = search_stages(whole, example)
    if stages is None:
        hint = _NEEDS_INPUT if x is None else _WITHOUT_TOKENS
        refuse(
            "vision_transformer: the model must have blocks that hand tokens (B, N, D) on", type(model).__name__, hint
        )
    # what runs beside the blocks, as a shortcut around all of them, would be missing from the stages
    staged = StagedTransformer(model, stages)
    with torch.no_grad():
        expected = whole(example)
        distance = (staged.run_stages(example) - expected).abs().max()
    close = bool(distance <= _TOLERANCE * expected.abs().max())
    rule = "vision_transformer: the stages must give the model's logits"
    require(close, rule, f"{float(distance):.2g} apart", "xnb.attribute(model, x, target, 'rollout')")
    return staged


class _WithLogits(WrappedModel):
    """A model with its logits alone."""

    def forward(self, x: Tensor) -> Logits:
        return find_logits(self.model(x))


class StagedTransformer(_WithLogits):
    """A model beside its three stages, see `vision_transformer`."""

    def __init__(self, model: nn.Module, stages: Stages) -> None:
        super().__init__(model)
        self._stages = stages

    @property
    def blocks(self) -> list[Block]:
        """The blocks in their order, each from tokens to tokens."""
        return self._stages.blocks

    def tokens(self, x: Batch) -> Tensor:
        """Tokens `(B, N, D)` that enter the first block."""
        return self._stages.tokens(x)

    def readout(self, tokens: Tensor) -> Logits:
        """Logits of the tokens that leave the last block."""
        return self._stages.readout(tokens)

    def run_stages(self, x: Batch) -> Logits:
        """Logits by way of the stages."""
        tokens = self.tokens(x)
        for block in self.blocks:
            tokens = block(tokens)
        return self.readout(tokens)


def _make_picture(model: nn.Module) -> Batch:
    """A grey picture of the size and the number of channels that the model names; 224 pixels where it names none."""
    convolution = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    channels = 3 if convolution is None else convolution.in_channels
    config = getattr(model, "config", None)
    embedding = getattr(model, "patch_embed", None)
    # of Hugging Face, torchvision and timm
    sizes: list[Any] = [getattr(config, "image_size", None), getattr(model, "image_size", None)]
    sizes.append(getattr(embedding, "img_size", None))
    size = next((size for size in sizes if size is not None), 224)
    height, width = (size, size) if isinstance(size, int) else size
    like = next(model.parameters(), torch.zeros(1))
    return torch.full((1, channels, height, width), 0.5, dtype=like.dtype, device=like.device)
