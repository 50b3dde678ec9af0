"""Completeness and symmetry, on models whose answers are known."""

import pytest
import torch
from torch import nn

from xnb import METHODS
from xnb.access import ledger
from xnb.metrics import completeness_gap, symmetry
from xnb.metrics.axioms import exchange_effects


def test_the_gap_is_what_is_missing(model, x, target):
    a = METHODS["exact_shapley"](model, x, target, regions=torch.zeros(6, 6, dtype=torch.long)) / 36
    gap = completeness_gap(model, x, target, a)
    torch.testing.assert_close(gap, torch.zeros_like(gap))
    drops = (model(x) - model(torch.zeros_like(x))).gather(1, target[:, None])[:, 0].detach()
    torch.testing.assert_close(completeness_gap(model, x, target, 0 * a), drops.abs())
    torch.testing.assert_close(completeness_gap(model, x, target, 3 * a), 2 * drops.abs())


def test_a_baseline_moves_the_gap(model, x, target):
    gap = completeness_gap(model, x, target, torch.zeros_like(x), baseline=x)
    assert gap.abs().max() == 0
    with pytest.raises(ValueError, match="baseline"):
        completeness_gap(model, x, target, x, baseline=torch.zeros(7, dtype=x.dtype))


@pytest.fixture
def pairs():
    """Six features; the model multiplies the sums of the first and the last three, which are alike among themselves."""

    def model(x):
        left, right = x[:, :3].sum(1), x[:, 3:].sum(1)
        return torch.stack([left + left * right, right], 1)

    x = torch.tensor([[1.0, 1, 1, 2, 2, 2]]).double()
    return model, x, torch.tensor([0])


def test_equal_features_get_equal_shares(pairs):
    exact = METHODS["exact_shapley"](*pairs)
    knobs = {"impute": "zero", "share": 0.3}
    torch.testing.assert_close(symmetry(*pairs, exact, **knobs), torch.zeros(1).double(), atol=1e-9, rtol=0)
    uneven = exact * torch.tensor([3.0, 0, 0, 1, 1, 1])
    assert symmetry(*pairs, uneven, **knobs) > 0.5


def test_only_pairs_that_the_model_exchanges_are_asked(pairs):
    """Six of the fifteen pairs are exact exchanges; with all pairs the quotient is 1 for whatever map."""
    noise = torch.randn(1, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    assert symmetry(*pairs, noise, impute="zero", share=1.0).item() == pytest.approx(1)


def test_a_map_that_knows_nothing_is_about_1():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 2)).double().eval()
        x, noise = torch.randn(2, 100, 12).double()
    target = torch.zeros(100, dtype=torch.long)
    ratio = symmetry(model, x, target, noise, impute="zero")
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 10
    exact = symmetry(model, x, target, METHODS["kernel_shap"](model, x, target, samples=400), impute="zero")
    assert exact.mean() < 0.7 * ratio.mean()


def test_exchanges_are_over_sets_without_both():
    drops = torch.tensor([[0.0, 3, 5], [9, 2, 6]])[:, :, None].double()
    removed = torch.tensor([[False, False, False], [True, False, False]])
    expected = torch.tensor([3.0, 5, (0.5 * (4 + 16)) ** 0.5]).double()[:, None]
    torch.testing.assert_close(exchange_effects(drops, removed), expected)


def test_one_pair_of_parts_is_refused(model, x, target):
    """Its quotient would be 1 whatever the map."""
    with pytest.raises(ValueError, match="fewer than 3 parts"):
        symmetry(model, x, target, x, side=1)
    assert symmetry(model, x, target, x, side=2).isfinite().all()


def test_share_is_checked(model, x, target):
    with pytest.raises(ValueError, match="share"):
        symmetry(model, x, target, x, share=0.0)


def test_symmetry_costs_a_pass_for_every_part_and_set(model, x, target):
    with ledger.count_passes() as passes:
        symmetry(model, x, target, x, side=3, samples=4)
    assert passes.forward == 5 * (4 * 9 + 1)
