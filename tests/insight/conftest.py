"""A network that several tests of influence ask."""

import pytest
import torch


@pytest.fixture
def small():
    from xnb import models  # not above: the package may be loaded only when its shapes are being checked

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = models.Net(in_features=4, hidden=(5,), classes=3)
    return net.double().eval()
