"""Threads are lent to a block, and given back whatever happens in it."""

import pytest
import torch

from xnb.scale.threads import use_threads


def test_they_are_as_before_also_after_an_error():
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), use_threads(before + 2):
        torch.get_num_threads() / 0
    assert torch.get_num_threads() == before
