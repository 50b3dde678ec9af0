"""Removal curves: closed forms on a linear model, ties, and Quantus.

Tests: xnb.metrics.removal_curves
"""

import pytest
import torch
from torch import nn

from xnb.metrics.removal import area_under_curve, deletion, insertion, lerf, morf, removal_curve, road, srg

WEIGHTS = torch.tensor([4.0, 3, 2, 1, 0, -1, -2, -3, -4], dtype=torch.double)
ONE, FIRST = torch.ones(1, 1, 3, 3, dtype=torch.double), torch.tensor([0])
MAP = WEIGHTS.view(1, 1, 3, 3)


def linear(x):
    """Class 0 has the weighted sum, class 1 nothing."""
    score = x.flatten(1) @ WEIGHTS
    return torch.stack([score, torch.zeros_like(score)], 1)


def test_curves_of_a_linear_model_are_partial_sums():
    most = torch.tensor([0.0, -4, -7, -9, -10, -10, -9, -7, -4, 0], dtype=torch.double)[:, None]
    knobs = {"steps": 9, "impute": "zero"}
    torch.testing.assert_close(removal_curve(linear, ONE, FIRST, MAP, **knobs), most)
    torch.testing.assert_close(removal_curve(linear, ONE, FIRST, MAP, first="least", **knobs), -most)
    assert morf(linear, ONE, FIRST, MAP, **knobs).item() == pytest.approx(60 / 9)
    assert lerf(linear, ONE, FIRST, MAP, **knobs).item() == pytest.approx(-60 / 9)
    assert srg(linear, ONE, FIRST, MAP, **knobs).item() == pytest.approx(120 / 9)
    steps = most[:, 0].sigmoid()
    assert deletion(linear, ONE, FIRST, MAP, steps=9).item() == pytest.approx(float(area_under_curve(steps[:, None])))
    assert insertion(linear, ONE, FIRST, MAP, steps=9, impute="zero").item() == pytest.approx(
        float(area_under_curve(1 - steps[:, None]))
    )
    assert road(linear, ONE, FIRST, -MAP, steps=9, impute="zero").item() == 1
    assert road(linear, ONE, FIRST, MAP, steps=9, impute="zero").item() == 0


def test_margin_is_positive_for_the_predicted_class_alone(model, x, target):
    out = model(x)
    none_removed = removal_curve(model, x, target, x, unit="margin", steps=3)[0]
    assert torch.equal(none_removed > 0, out.argmax(1) == target)
    best_other = out.scatter(1, target[:, None], -torch.inf).amax(1)
    torch.testing.assert_close(none_removed, out.gather(1, target[:, None])[:, 0] - best_other)


def test_more_steps_than_units_is_one_unit_a_step():
    assert torch.equal(
        removal_curve(linear, ONE, FIRST, MAP, steps=500), removal_curve(linear, ONE, FIRST, MAP, steps=9)
    )


def test_signs_count_and_channels_add_up(model, x, target):
    """A map of two channels is read as their sum: neither size alone nor one channel decides the order."""
    a = torch.randn(5, 2, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    assert torch.equal(srg(model, x, target, a), srg(model, x, target, a.sum(1, keepdim=True)))
    assert not torch.equal(srg(model, x, target, a), srg(model, x, target, a.abs()))


def test_any_increasing_map_of_the_values_is_the_same_order(model, x, target):
    a = torch.randn(5, 1, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    assert torch.equal(srg(model, x, target, a), srg(model, x, target, (3 * a).exp()))


def test_ties_are_in_random_order_and_a_constant_map_has_no_gap(model, x, target):
    flat = torch.ones_like(x[:, :1])
    assert srg(model, x, target, flat).abs().max() == 0
    scores = torch.stack([morf(model, x, target, flat, seed=seed) for seed in range(3)])
    assert scores.std(0).min() > 0


def test_a_random_order_has_no_gap_on_average(model, x, target):
    noise = torch.Generator().manual_seed(0)
    gaps = [srg(model, x, target, torch.randn(x[:, :1].shape, generator=noise).to(x)) for _ in range(60)]
    gaps = torch.stack(gaps).mean(1)
    assert abs(float(gaps.mean())) < 3 * float(gaps.std()) / 60**0.5


def pictures():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 4)
        model, x = nn.Sequential(*layers).eval(), torch.randn(8, 1, 10, 10)
        return model, x, model(x).argmax(1), torch.randn(8, 1, 10, 10)


def test_quantus_pixel_flipping_draws_the_same_curve(quantus):
    model, x, target, a = pictures()
    flip = quantus.PixelFlipping(features_in_step=10, perturb_baseline=0.0, normalise=False, disable_warnings=True)
    theirs = flip(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=a.numpy(), softmax=True)
    ours = removal_curve(model, x, target, a, unit="probability", steps=10, impute="zero")
    torch.testing.assert_close(ours[1:].T, torch.tensor(theirs).float(), rtol=1e-4, atol=1e-5)


def test_quantus_road_counts_the_same_predictions(quantus):
    model, x, target, a = pictures()
    metric = quantus.ROAD(percentages=list(range(10, 100, 10)), noise=1e-9, normalise=False, disable_warnings=True)
    theirs = metric(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=a.numpy())
    ours = road(model, x, target, a)
    assert ours.mean().item() == pytest.approx(sum(theirs.values()) / 9, abs=1 / 72)
    assert ours.unique().numel() > 2


def test_quantus_road_counts_channels_as_pixels(quantus):
    """On a colour picture it asks for pixels that do not exist; ours removes pixels, all channels at once."""
    x, target = torch.rand(2, 3, 6, 6), torch.tensor([0, 1])
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 2)).eval()
    metric = quantus.ROAD(percentages=[50], disable_warnings=True)
    with pytest.raises(IndexError):
        metric(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=x[:, :1].numpy())
    assert road(model, x, target, x[:, :1]).isfinite().all()


@pytest.mark.parametrize(
    ("knobs", "rule"),
    [({"steps": 0}, "steps"), ({"first": "best"}, "first"), ({"unit": "loss"}, "unit"), ({"impute": "x"}, "impute")],
)
def test_refusals(knobs, rule, as_users_run):
    with pytest.raises(ValueError, match=rule):
        removal_curve(linear, ONE, FIRST, MAP, **knobs)
