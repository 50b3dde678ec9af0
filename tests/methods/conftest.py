import pytest
import torch


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def classes():
    return torch.tensor([3, 1])
