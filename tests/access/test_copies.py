"""Tests: xnb.access.copies."""

import threading

import pytest
import torch
from torch import nn

from xnb.access.copies import copy_module


class Keeps(nn.Module):
    """Keeps its activations on itself, as some published networks do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        out = self.layer(x)
        self.seen = {"all": [out], "last": (out, out.sum())}
        return out


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("make", [Keeps, lambda: nn.utils.weight_norm(nn.Linear(3, 2))])
def test_what_a_pass_left_is_copied_as_a_constant(make):
    model = make().eval()
    x = torch.ones(1, 3)
    expected = model(x)
    expected.sum().backward()
    copy = copy_module(model)
    torch.testing.assert_close(copy(x), expected)
    assert all(one is not other for one, other in zip(copy.parameters(), model.parameters(), strict=True))
    assert expected.grad_fn is not None


def test_what_cannot_be_copied_is_named():
    model = nn.Linear(3, 2)
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"^copy: every attribute.*\n  got: .*lock"):
        copy_module(model)
