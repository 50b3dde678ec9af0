from functools import partial

import pytest
import torch
from small_sweep import KNOBS, METHODS, METRICS

import xnb
from xnb.data import Part


@pytest.fixture
def part(x, target):
    masks = torch.zeros(5, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 2:4, 1:5] = True
    return Part(x, target, masks)


@pytest.fixture
def call(model, part):
    return partial(xnb.compare, model, part, METHODS, METRICS, knobs=KNOBS, batch=2)
