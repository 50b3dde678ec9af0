"""Shapes in signatures are checked under pytest, and cost a user nothing."""

import subprocess
import sys

import jaxtyping
import pytest
import torch
from torch import nn

from xnb.access.score import score

SCRIPT = """
import torch
from xnb.access import score
assert "jaxtyped" not in repr(score.score) and not hasattr(score.score, "__wrapped__")
"""


def test_a_wrong_shape_is_caught_under_pytest():
    net = nn.Linear(4, 3).eval()
    with pytest.raises(jaxtyping.TypeCheckError):
        score(net, torch.zeros(2, 4), torch.zeros(2, 1, dtype=torch.long))


def test_users_run_without_the_check():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
