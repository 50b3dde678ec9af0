import os

import jaxtyping
import pytest
import torch
from torch import nn


def pytest_configure(config):
    line = "optimised(reason): tests an optimisation itself; left out where XNB_PLAIN=1 switches them off"
    config.addinivalue_line("markers", line)


if os.environ.get("XNB_PLAIN"):

    @pytest.fixture(autouse=True)
    def all_optimisations_off(request):
        """Any test, without: `make plain`."""
        marker = request.node.get_closest_marker("optimised")
        if marker:
            pytest.skip(marker.args[0])
        import optimisations  # not above: the package may be loaded only when its shapes are being checked

        with optimisations.switch_off():
            yield


@pytest.fixture
def model(request):
    """Small enough to check by hand, double precision, no bias so that a black picture scores zero.

    For a test of one method that looks at attention, a network that has it.
    """
    import networks  # not above: the package may be loaded only when its shapes are being checked

    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    return networks.with_attention(name) or convolutional()


def convolutional():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 6 * 6, 3, bias=False),
        )
    return net.double().eval()


@pytest.fixture
def x():
    return torch.randn(5, 2, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def target():
    return torch.tensor([0, 1, 2, 1, 0])


@pytest.fixture
def as_users_run():
    """Switch the shape checks of the tests off, so that the package's own refusals are what is seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
