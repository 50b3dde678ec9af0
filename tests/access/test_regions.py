"""Players: which values go together, what is refused, and what the model sees of a coalition."""

import pytest
import torch

from xnb.access.regions import expanded, game, grid, partition


def test_grid_has_squares_and_smaller_ones_at_the_border():
    expected = torch.tensor([[0, 0, 1, 1, 2]] * 2 + [[3, 3, 4, 4, 5]] * 2)
    assert torch.equal(grid(4, 5, cells=3), expected)


@pytest.mark.parametrize(("side", "cells", "regions"), [(32, 7, 49), (28, 7, 49), (6, 7, 36), (224, 7, 49), (8, 3, 9)])
def test_grid_has_no_more_cells_than_asked_for(side, cells, regions):
    assert torch.equal(grid(side, side, cells).unique(), torch.arange(regions))


def test_grid_refuses_no_cells():
    with pytest.raises(ValueError, match=r"cells must be at least 1\n  got: 0\n  try: grid\(8, 8, cells=7\)"):
        grid(8, 8, 0)


def test_what_the_players_are_by_default():
    assert torch.equal(partition(None, torch.zeros(2, 3, 32, 32)), grid(32, 32)[None])
    assert torch.equal(partition(None, torch.zeros(2, 5)), torch.arange(5))
    assert torch.equal(partition(None, torch.zeros(2, 3, 4)), torch.arange(12).view(3, 4))


@pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (2, 6, 6), (1, 2, 6, 6), (2, 1, 1), (6,)])
def test_regions_broadcast_against_one_input(shape, x):
    regions = torch.arange(torch.Size(shape).numel()).view(shape)
    found = partition(regions, x)
    assert found.ndim == 3
    assert torch.equal(found.expand(2, 6, 6), regions.expand(1, 2, 6, 6)[0])


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        (torch.zeros(6, 6), r"must be integers\n  got: float32\[6,6\]\n  try: regions = regions.long\(\)"),
        (torch.zeros(6, 6, dtype=torch.bool), "must be integers"),
        (torch.zeros(5, 6, dtype=torch.long), "must broadcast to one input"),
        (torch.zeros(5, 2, 6, 6, dtype=torch.long), "one map for the batch"),
        (grid(6, 6, 2) * 2, r"without a gap\n  got: \[0, 2, 4, 6\]\n  try: .*torch.unique"),
        (grid(6, 6, 2) + 1, "without a gap"),
        (grid(6, 6, 2) - 1, "without a gap"),
    ],
)
def test_refuses_regions_that_are_no_partition(regions, match, x, as_users_run):
    with pytest.raises(ValueError, match=match):
        partition(regions, x)


def test_the_way_out_of_a_gap_works(x):
    with_gaps = grid(6, 6, 2) * 5 - 3
    assert torch.equal(partition(torch.unique(with_gaps, return_inverse=True)[1], x), grid(6, 6, 2)[None])


def test_refuses_a_baseline_that_does_not_fit(x):
    assert torch.equal(expanded(0.5, x), torch.full_like(x, 0.5))
    with pytest.raises(ValueError, match="must broadcast to x"):
        expanded(torch.zeros(7).to(x), x)


def test_a_coalition_keeps_its_regions_and_no_others(model, x, target):
    baseline = torch.linspace(-1, 1, 6, dtype=torch.double)
    regions = torch.stack([grid(6, 6, 2), grid(6, 6, 2) + 4])  # channels apart: eight players
    play = game(model, x, target, regions, baseline, chunk=3)
    assert play.players == 8
    coalitions = torch.rand(9, 8, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = torch.empty(9, 5, dtype=torch.double)
    for n, i in torch.cartesian_prod(torch.arange(9), torch.arange(5)).tolist():
        seen = x[i].clone()
        for player in range(8):
            if not coalitions[n, player]:
                seen[regions == player] = baseline.expand(2, 6, 6)[regions == player]
        expected[n, i] = model(seen[None])[0, target[i]]
    torch.testing.assert_close(play.values(coalitions), expected)
    torch.testing.assert_close(play.values(coalitions, torch.tensor([3, 1])), expected[:, [3, 1]])


def test_every_value_carries_the_worth_of_its_region(model, x, target):
    worth = torch.arange(20.0, dtype=torch.double).view(5, 4)
    shared = game(model, x, target, grid(6, 6, 2), 0.0, None).spread(worth)
    assert shared.shape == (5, 1, 6, 6)
    assert shared[2, 0, 0].tolist() == [8, 8, 8, 9, 9, 9]
    apart = torch.stack([grid(6, 6, 2), 3 - grid(6, 6, 2)])
    assert game(model, x, target, apart, 0.0, None).spread(worth).shape == x.shape
