"""What the model is given of a coalition of regions, and how attributions go back to the input."""

import torch

from xnb.access.regions import square_grid
from xnb.methods.game import make_game


def test_a_coalition_keeps_its_regions_and_no_others(model, x, target):
    baseline = torch.linspace(-1, 1, 6, dtype=torch.double)
    regions = torch.stack([square_grid(6, 6, 2), square_grid(6, 6, 2) + 4])  # each channel has its own: eight players
    game = make_game(model, x, target, regions, baseline, chunk=3)
    assert game.players == 8
    coalitions = torch.rand(9, 8, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = torch.empty(9, 5, dtype=torch.double)
    for n, i in torch.cartesian_prod(torch.arange(9), torch.arange(5)).tolist():
        changed = x[i].clone()
        for player in range(8):
            if not coalitions[n, player]:
                changed[regions == player] = baseline.expand(2, 6, 6)[regions == player]
        expected[n, i] = model(changed[None])[0, target[i]]
    torch.testing.assert_close(game.values(coalitions), expected)
    torch.testing.assert_close(game.values(coalitions, torch.tensor([3, 1])), expected[:, [3, 1]])


def test_every_value_carries_the_attribution_of_its_region(model, x, target):
    attributions = torch.arange(20.0, dtype=torch.double).view(5, 4)
    on_input = make_game(model, x, target, square_grid(6, 6, 2), 0.0, None).place_on_input(attributions)
    assert on_input.shape == (5, 1, 6, 6)
    assert on_input[2, 0, 0].tolist() == [8, 8, 8, 9, 9, 9]
    by_channel = torch.stack([square_grid(6, 6, 2), 3 - square_grid(6, 6, 2)])
    assert make_game(model, x, target, by_channel, 0.0, None).place_on_input(attributions).shape == x.shape
