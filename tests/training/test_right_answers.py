"""Answers are marked one by one, and their mean is the accuracy.

Tests: xnb.training.right_answers
"""

import numpy as np
import pytest
import torch
from torch import nn

from xnb.data.split import Part
from xnb.training import evaluate, mark_right


@pytest.fixture
def net():
    """Class 1 where the number is positive."""
    layer = nn.Linear(1, 2)
    layer.weight.data = torch.tensor([[0.0], [1.0]])
    layer.bias.data.zero_()
    return layer.eval()


def test_by_hand(net):
    part = Part(torch.tensor([[-1.0], [2.0], [3.0], [-4.0]]), torch.tensor([0, 0, 1, 1]))
    found = mark_right(net, part)
    assert found.dtype == np.float64
    assert found.tolist() == [1, 0, 1, 0]
    assert found.mean() == evaluate(net, part).accuracy


def test_refuses_a_model_in_training_mode(net):
    with pytest.raises(ValueError, match="eval"):
        mark_right(net.train(), Part(torch.ones(2, 1), torch.zeros(2).long()))
