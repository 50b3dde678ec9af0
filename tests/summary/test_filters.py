"""How alike neighbouring weights are, for filters whose answer is known."""

import pytest
import torch

from xnb import summary

SOBEL = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
LAPLACE = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def test_a_stripe_is_alike_along_itself():
    stripe = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 1, 1]])
    rows, columns = summary.correlate_neighbours(stripe[None, None])[0].tolist()
    assert rows == pytest.approx(1)
    assert columns == pytest.approx(-1)
    turned = summary.correlate_neighbours(stripe.T[None, None])[0].tolist()
    assert turned == pytest.approx([columns, rows])


def test_known_filters():
    both = summary.correlate_neighbours(torch.stack([SOBEL, LAPLACE])[:, None])
    assert both[0].tolist() == pytest.approx([0.8, 0.8])
    assert both[1].tolist() == pytest.approx([-0.4336, -0.4336], abs=1e-4)


def test_it_is_the_correlation_of_numpy_over_all_channels():
    weight = torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    pairs = torch.stack([weight[..., :-1].flatten(), weight[..., 1:].flatten()])
    assert summary.correlate_neighbours(weight)[0, 0] == pytest.approx(float(torch.corrcoef(pairs)[0, 1]), abs=1e-6)


def test_a_constant_filter_has_none():
    assert summary.correlate_neighbours(torch.ones(1, 1, 3, 3)).isnan().all()
