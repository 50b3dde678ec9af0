"""Ablation-CAM of one input is that of the input in a batch."""

import torch
from transformers import SwinConfig, SwinForImageClassification

import xnb


def test_ablation_of_one_picture_through_windows():
    """Of one picture its only window looks like a row; beside another picture it does not. Both give one map."""
    config = SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = xnb.adapters.logits(SwinForImageClassification(config).eval())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    together = xnb.attribute(model, x, 1, "ablation_cam", signed=True)
    assert together.abs().sum() > 0
    torch.testing.assert_close(xnb.attribute(model, x[:1], 1, "ablation_cam", signed=True), together[:1])
