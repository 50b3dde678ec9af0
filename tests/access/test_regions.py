"""Regions of an input: which values go together, and what is refused."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.segmentation import slic

from xnb.access.regions import COARSE_PIECES, number_regions, piece_grid, square_grid, suggest_fewer
from xnb.access.rows import select_rows


def test_grid_has_squares_and_smaller_ones_at_the_border():
    expected = torch.tensor([[0, 0, 1, 1, 2]] * 2 + [[3, 3, 4, 4, 5]] * 2)
    assert torch.equal(square_grid(4, 5, cells=3), expected)


def test_blocks_of_a_volume_are_numbered_along_the_last_axis_first():
    blocks = piece_grid(torch.Size([2, 2, 4]), 2)
    assert blocks.flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]


@pytest.mark.parametrize(("side", "cells", "regions"), [(32, 7, 49), (28, 7, 49), (6, 7, 36), (224, 7, 49), (8, 3, 9)])
def test_grid_has_no_more_cells_than_asked_for(side, cells, regions):
    assert torch.equal(square_grid(side, side, cells).unique(), torch.arange(regions))


def test_grid_refuses_no_cells():
    with pytest.raises(ValueError, match=r"cells must be at least 1\n  got: 0\n  try: square_grid\(8, 8, cells=7\)"):
        square_grid(8, 8, 0)


def test_what_the_players_are_by_default():
    assert torch.equal(number_regions(None, torch.zeros(2, 3, 32, 32)), square_grid(32, 32)[None, None])
    assert torch.equal(number_regions(None, torch.zeros(2, 5)), torch.arange(5)[None])
    assert torch.equal(number_regions(None, torch.zeros(2, 3, 4)), torch.arange(12).view(1, 3, 4))


@pytest.mark.parametrize(
    ("shape", "pieces", "coarse"),
    [
        ((1, 490), 49, 16),
        ((1, 1, 490), 49, 16),  # a picture of one row is a signal
        ((2, 64, 64), 49, 16),
        ((1, 16, 16, 16), 64, 8),
        ((1, 8, 8, 8, 8), 16, 16),
        ((256, 1), 256, 16),
        ((16,), 16, 16),
        ((3000,), 3000, 3000),
    ],
)
def test_how_many_players_there_are_by_default(shape, pieces, coarse):
    x = torch.zeros(2, *shape)
    for division, count in (((), pieces), ((COARSE_PIECES,), coarse)):
        numbers = number_regions(None, x, *division)
        assert torch.equal(numbers.unique(), torch.arange(count))
        assert numbers.ndim == x.ndim


@pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (2, 6, 6), (1, 2, 6, 6), (2, 1, 1), (6,)])
def test_regions_broadcast_against_one_input(shape, x):
    regions = torch.arange(torch.Size(shape).numel()).view(shape)
    numbers = number_regions(regions, x)
    assert numbers.ndim == 4
    assert torch.equal(numbers.expand(1, 2, 6, 6), regions.expand(1, 2, 6, 6))


def test_each_input_may_have_its_own(x):
    regions = torch.stack([square_grid(6, 6, 1 + i % 3) for i in range(5)])[:, None]
    assert torch.equal(number_regions(regions, x), regions)
    with select_rows(torch.tensor([4, 1]), 5):
        assert torch.equal(number_regions(regions, x[:2]), regions[[4, 1]])


@pytest.mark.parametrize("regions", [square_grid(6, 6, 2) * 5 - 3, (square_grid(6, 6, 2) + 1).numpy().astype("uint16")])
def test_numbers_are_names(regions, x):
    """Superpixels of scikit-image begin at 1, a part of them has gaps; each input is numbered by itself."""
    assert torch.equal(number_regions(regions, x), square_grid(6, 6, 2)[None, None])
    rows = np.stack([np.asarray(regions, dtype=np.int64) + i for i in range(5)])[:, None]
    assert torch.equal(number_regions(rows, x), square_grid(6, 6, 2).expand(5, 1, 6, 6))


def test_takes_superpixels_as_they_come():
    picture = astronaut()[::8, ::8]
    superpixels = slic(picture, n_segments=20)
    numbers = number_regions(superpixels[::-1], torch.zeros(1, 3, 64, 64))
    assert torch.equal(numbers[0, 0], torch.from_numpy(superpixels[::-1] - superpixels.min()))


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        (torch.zeros(6, 6), r"must be integers\n  got: float32\[6,6\]\n  try: regions = regions.long\(\)"),
        (np.zeros((6, 6)), r"must be integers\n  got: .*\n?.*\n?.*\n?.*\n?.*\n?.*\n  try: regions = torch.as_tensor"),
        (torch.zeros(6, 6, dtype=torch.bool), "must be integers"),
        (torch.zeros(5, 6, dtype=torch.long), r"must broadcast to one input \(2, 6, 6\)(.|\n)*try: regions=None"),
        (torch.zeros(3, 2, 6, 6, dtype=torch.long), r"must have one row an input \(5\)"),
        (torch.zeros(5, 6, 6, dtype=torch.long), r"try: regions = regions\[:, None\]"),
        (torch.zeros(1, 1, 1, 6, 6, dtype=torch.long), "try: regions=None"),
    ],
)
def test_refuses_regions_that_do_not_fit(regions, match, x, as_users_run):
    with pytest.raises(ValueError, match=match):
        number_regions(regions, x)


def test_maps_that_may_be_of_inputs_or_of_channels_are_refused(x):
    regions = torch.stack([square_grid(6, 6, 2), square_grid(6, 6, 3)])
    with pytest.raises(ValueError, match=r"2 maps for 2 inputs of 2 channels\n.*\n  try: regions = regions\[:, None\]"):
        number_regions(regions, x[:2])
    assert number_regions(regions[:, None], x[:2]).shape == (2, 1, 6, 6)
    assert number_regions(regions[None], x[:2]).shape == (1, 2, 6, 6)


@pytest.mark.parametrize("shape", [(2, 5000), (2, 1, 5000), (2, 1, 20, 20, 20)])
def test_fewer_regions_are_suggested_that_fit(shape):
    x = torch.zeros(shape)
    knob = eval(suggest_fewer(x).removeprefix("regions="), {"torch": torch})
    assert int(number_regions(knob, x).max()) < 256
