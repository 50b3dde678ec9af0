"""What the model is given of a coalition of regions, and how attributions go back to the input."""

import pytest
import torch
from largest_tensor import Largest
from torch import nn

from xnb import attribute
from xnb.access.ledger import count_passes
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


OWN = torch.stack([square_grid(6, 6, cells) for cells in (2, 1, 3, 2, 2)])[:, None]  # 4, 1, 9, 4 and 4 regions
PLAYED = ["feature_ablation", "rise", "lime", "kernel_shap", "permutation_shapley", "exact_shapley"]


@pytest.mark.parametrize("method", PLAYED)
def test_regions_of_each_input_as_of_each_alone(method, model, x, target):
    """Five pictures, each with squares of its own: the maps are those of each picture alone with its squares."""
    model = model[:-1].append(nn.Linear(144, 3, bias=True).double()).eval()
    with count_passes() as together:
        found = attribute(model, x, target, method, regions=OWN, baseline=x.flip(0))
    assert found.shape == (5, 1, 6, 6)
    for i in range(5):
        knobs = {"regions": OWN[i, 0].numpy() + 1, "baseline": x.flip(0)[i]}
        with count_passes() as alone:
            expected = attribute(model, x[i : i + 1], target[i : i + 1], method, **knobs)
        torch.testing.assert_close(found[i : i + 1], expected)
        if "standard_error" in alone.notes:
            torch.testing.assert_close(
                together.notes["standard_error"][i], alone.notes["standard_error"][0], equal_nan=True
            )


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("method", "factor"), [("feature_ablation", 100), ("kernel_shap", 40), ("lime", 40), ("rise", 80)]
)
def test_memory_grows_with_the_features_and_not_with_their_square(method, factor):
    """6,000 features: a matrix of them would be 36 million values, all that is made has a small multiple of 6,000."""
    x = torch.randn(1, 6000, generator=torch.Generator().manual_seed(0))
    knobs = {} if method == "feature_ablation" else {"samples": 32}
    with Largest() as largest:
        attribute(lambda z: z[:, :2], x, 0, method, chunk=64, **knobs)
    assert largest.values <= factor * 6000
