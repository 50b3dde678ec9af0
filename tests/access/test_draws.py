"""Tests: xnb.access.draws. What is random goes along with nothing else that is, whatever the seed."""

import pytest
import torch

import xnb
from xnb.access.draws import make_generator, mix_seed


def test_purposes_and_seeds_have_streams_of_their_own():
    streams = {}
    for purpose in ("noise", "order"):
        for seed in (0, 1, -1):
            streams[purpose, seed] = torch.randn(1000, generator=make_generator(purpose, seed))
    correlations = torch.corrcoef(torch.stack(list(streams.values()))).fill_diagonal_(0)
    assert correlations.abs().max() < 0.15  # 1 / sqrt(1000) by chance
    assert torch.equal(streams["noise", 1], torch.randn(1000, generator=make_generator("noise", 1)))
    assert 0 <= mix_seed("noise", 0) < 2**63


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_controls_and_noise_are_not_the_input_drawn_again(seed):
    """A picture drawn after `torch.manual_seed(seed)` was its own random map, and its own noise."""
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 2)).eval()
    a = xnb.attribute(net, x, 0, "random", seed=seed)
    stream = torch.randn(3072, generator=torch.Generator().manual_seed(seed))
    n = a.numel()
    assert torch.corrcoef(torch.stack([a.flatten(), stream[:n]]))[0, 1].abs() < 5 / n**0.5
    noisy = lambda z: (z - x).square().flatten(1).sum(1, keepdim=True)  # noqa: E731 - the gradient is twice the mean noise
    noise = xnb.attribute(noisy, x, 1, "smoothgrad", samples=2, seed=seed).flatten()
    assert torch.corrcoef(torch.stack([noise, x.flatten()]))[0, 1].abs() < 5 / 3072**0.5


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    torch.rand(9, generator=make_generator("noise", 0))
    assert torch.equal(torch.get_rng_state(), state)
