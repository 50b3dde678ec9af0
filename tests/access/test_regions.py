"""Regions of an input: which values go together, and what is refused."""

import pytest
import torch

from xnb.access.regions import number_regions, square_grid


def test_grid_has_squares_and_smaller_ones_at_the_border():
    expected = torch.tensor([[0, 0, 1, 1, 2]] * 2 + [[3, 3, 4, 4, 5]] * 2)
    assert torch.equal(square_grid(4, 5, cells=3), expected)


@pytest.mark.parametrize(("side", "cells", "regions"), [(32, 7, 49), (28, 7, 49), (6, 7, 36), (224, 7, 49), (8, 3, 9)])
def test_grid_has_no_more_cells_than_asked_for(side, cells, regions):
    assert torch.equal(square_grid(side, side, cells).unique(), torch.arange(regions))


def test_grid_refuses_no_cells():
    with pytest.raises(ValueError, match=r"cells must be at least 1\n  got: 0\n  try: square_grid\(8, 8, cells=7\)"):
        square_grid(8, 8, 0)


def test_what_the_players_are_by_default():
    assert torch.equal(number_regions(None, torch.zeros(2, 3, 32, 32)), square_grid(32, 32)[None])
    assert torch.equal(number_regions(None, torch.zeros(2, 5)), torch.arange(5))
    assert torch.equal(number_regions(None, torch.zeros(2, 3, 4)), torch.arange(12).view(3, 4))


@pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (2, 6, 6), (1, 2, 6, 6), (2, 1, 1), (6,)])
def test_regions_broadcast_against_one_input(shape, x):
    regions = torch.arange(torch.Size(shape).numel()).view(shape)
    numbers = number_regions(regions, x)
    assert numbers.ndim == 3
    assert torch.equal(numbers.expand(2, 6, 6), regions.expand(1, 2, 6, 6)[0])


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        (torch.zeros(6, 6), r"must be integers\n  got: float32\[6,6\]\n  try: regions = regions.long\(\)"),
        (torch.zeros(6, 6, dtype=torch.bool), "must be integers"),
        (torch.zeros(5, 6, dtype=torch.long), "must broadcast to one input"),
        (torch.zeros(5, 2, 6, 6, dtype=torch.long), "one map for the batch"),
        (square_grid(6, 6, 2) * 2, r"without a gap\n  got: \[0, 2, 4, 6\]\n  try: .*torch.unique"),
        (square_grid(6, 6, 2) + 1, "without a gap"),
        (square_grid(6, 6, 2) - 1, "without a gap"),
    ],
)
def test_refuses_regions_that_are_not_numbered(regions, match, x, as_users_run):
    with pytest.raises(ValueError, match=match):
        number_regions(regions, x)


def test_the_way_out_of_a_gap_works(x):
    with_gaps = square_grid(6, 6, 2) * 5 - 3
    assert torch.equal(number_regions(torch.unique(with_gaps, return_inverse=True)[1], x), square_grid(6, 6, 2)[None])
