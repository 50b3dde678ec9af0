"""Coalitions: each once, none favoured, and with the weights of the kernel."""

import numpy as np
import pytest
import torch

from xnb.methods.coalition_sampling import draw_distinct_coalitions, draw_pairs


@pytest.mark.parametrize("sampling", ["paired", "leverage"])
@pytest.mark.parametrize(
    ("players", "number"), [(2, 1), (5, 9), (6, 20), (10, 300), (12, 60), (30, 250), (30, 15), (1200, 700)]
)
def test_pairs_are_drawn_without_replacement(players, number, sampling):
    for seed in range(8):
        drawn = draw_pairs(players, number, sampling, torch.Generator().manual_seed(seed))
        both = torch.cat([drawn.members, ~drawn.members])
        assert len(drawn.members) == number
        assert len(both.unique(dim=0)) == 2 * number
        assert both.any(1).all()


def test_of_half_the_players_only_one_of_two_complements_is_drawn():
    for seed in range(8):
        drawn = draw_distinct_coalitions(8, np.full(30, 4), torch.Generator().manual_seed(seed))
        assert len(np.unique(np.concatenate([drawn, ~drawn]), axis=0)) == 60


@pytest.mark.parametrize("sampling", ["paired", "leverage"])
@pytest.mark.parametrize(("players", "number"), [(9, 40), (6, 14), (4, 3)])
def test_pairs_favour_no_player_and_carry_the_kernel(players, number, sampling):
    """Over many draws: each size has the weight of the kernel, and in each size players come equally often."""
    drawn = [draw_pairs(players, number, sampling, torch.Generator().manual_seed(seed)) for seed in range(600)]
    members, weights = torch.cat([d.members for d in drawn]), torch.cat([d.weights for d in drawn])
    both, weights = torch.cat([members, ~members]).double(), weights.repeat(2)
    sizes = both.sum(1)
    for size in range(1, players):
        here = sizes == size
        assert (both[here].mean(0) - size / players).abs().max() < 0.04
        kernel = 1 / (size * (players - size))
        assert abs(float(weights[here].sum()) / len(drawn) / kernel - 1) < 0.03
