"""Tests: xnb.access.model_call."""

from functools import partial

import pytest
import torch
from torch import nn

import xnb


def test_a_missing_batch_axis_is_named():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    for model, x in ((net, torch.ones(3, 8, 8)), (nn.Linear(3, 2).eval(), torch.ones(3))):
        with pytest.raises(ValueError, match=r"x = x\[None\]"):
            xnb.attribute(model, x, [0] * len(x), "gradient")


def test_training_mode_shows_through_partial_calls_and_methods():
    net = nn.Linear(3, 2)
    for model in (partial(net), net.forward, partial(net.forward)):
        with pytest.raises(ValueError, match="evaluation mode"):
            xnb.attribute(model, torch.ones(1, 3), 0, "gradient")
