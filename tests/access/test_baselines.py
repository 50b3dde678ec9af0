import pytest
import torch

from xnb.access.baselines import expand_baseline


def test_refuses_a_baseline_that_does_not_fit(x):
    assert torch.equal(expand_baseline(0.5, x), torch.full_like(x, 0.5))
    with pytest.raises(ValueError, match="must broadcast to x"):
        expand_baseline(torch.zeros(7).to(x), x)
