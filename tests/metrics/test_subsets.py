"""Metrics on sets drawn without the map: closed forms, Captum, Quantus, and where those measure something else."""

import numpy as np
import pytest
import torch
from torch import nn

from xnb import METHODS
from xnb.metrics.map_values import draw_part_sets
from xnb.metrics.subsets import (
    draw_squares,
    faithfulness_correlation,
    infidelity,
    logarithmic_sizes,
    score_drops,
    sensitivity_n,
    single_deletion,
)

CORRELATIONS = [single_deletion, faithfulness_correlation, sensitivity_n]


@pytest.fixture
def linear():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()


@pytest.fixture
def exact(linear, x, target):
    return (x * linear[1].weight[target].view_as(x)).detach()


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_the_right_map_of_an_additive_model_is_1_at_any_scale(metric, linear, x, target, exact):
    one = torch.ones(5, dtype=torch.double)
    torch.testing.assert_close(metric(linear, x, target, exact, impute="zero"), one)
    torch.testing.assert_close(metric(linear, x, target, 1e-6 * exact, impute="zero"), one)
    torch.testing.assert_close(metric(linear, x, target, -exact, impute="zero"), -one)


def test_occlusion_of_the_same_squares_is_the_oracle(model, x, target):
    a = METHODS["occlusion"](model, x, target, window=2)
    scores = single_deletion(model, x, target, a, side=3, impute="zero")
    torch.testing.assert_close(scores, torch.ones(5, dtype=torch.double))


def test_a_random_map_is_0_on_average(linear, x, target):
    noise = torch.randn(200, 1, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    many = x[:1].expand(200, -1, -1, -1)
    for metric in CORRELATIONS:
        scores = metric(linear, many, target[:1].expand(200), noise, side=3)
        assert abs(float(scores.mean())) < 4 * float(scores.std()) / 200**0.5


def test_drops_remove_what_they_say(model, x, target):
    removed, where = torch.tensor([[True, False]]), (torch.arange(36) < 9).long()
    lower = x.clone()
    lower.view(5, 2, 36)[:, :, 9:] = 0
    drops = (model(x) - model(lower)).gather(1, target[:, None]).T.detach()
    torch.testing.assert_close(score_drops(model, x, target, removed, where, "zero", (2, 3), None), drops)


def test_infidelity_of_a_linear_model(linear, x, target, exact):
    knobs = {"impute": "zero"}
    zero, one = torch.zeros_like(exact), exact.new_zeros(5)
    torch.testing.assert_close(infidelity(linear, x, target, exact, normalise=False, **knobs), one)
    torch.testing.assert_close(infidelity(linear, x, target, 1e4 * exact, **knobs), one)
    drops = draw_squares(x, (2, 3), 128, 0).double() @ exact.sum(1).flatten(1).T
    torch.testing.assert_close(infidelity(linear, x, target, zero, **knobs), drops.square().mean(0))
    torch.testing.assert_close(infidelity(linear, x, target, -exact, **knobs), drops.square().mean(0))
    torch.testing.assert_close(
        infidelity(linear, x, target, -exact, normalise=False, **knobs), (2 * drops).square().mean(0)
    )


def captum(model, x, target, a, **knobs):
    """Captum's infidelity on our squares: it repeats each input as often as there are squares."""
    measure = pytest.importorskip("captum.metrics").infidelity

    def perturb(inputs):
        removed = draw_squares(x, (2, 3), 128, 0).view(128, 1, 6, 6).repeat(len(inputs) // 128, 1, 1, 1).to(inputs)
        return removed.expand_as(inputs), inputs * (1 - removed)

    return measure(model, perturb, x, a, target=target, n_perturb_samples=128, **knobs).detach()


@pytest.mark.parametrize("normalise", [True, False])
def test_captum_finds_the_same_infidelity(normalise, model, x, target):
    a = METHODS["integrated_gradients"](model, x, target)
    theirs = captum(model, x, target, a, normalize=normalise)
    torch.testing.assert_close(infidelity(model, x, target, a, normalise=normalise, impute="zero"), theirs)


def test_captum_compares_units_by_default_and_forgives_a_wrong_sign(model, x, target):
    a = METHODS["integrated_gradients"](model, x, target)
    assert (captum(model, x, target, 1000 * a) > 1000 * captum(model, x, target, a)).all()
    torch.testing.assert_close(
        captum(model, x, target, -a, normalize=True), captum(model, x, target, a, normalize=True)
    )
    ours = [infidelity(model, x, target, attribution, impute="zero") for attribution in (a, 1000 * a, -a)]
    torch.testing.assert_close(ours[0], ours[1])
    assert (ours[2] > ours[0]).all()


def one_channel():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        x = torch.randn(5, 1, 6, 6)
        return nn.Sequential(*layers).eval(), x, torch.tensor([0, 1, 2, 1, 0]), torch.randn(5, 1, 6, 6)


def test_quantus_faithfulness_correlation_on_the_same_sets(quantus, monkeypatch):
    model, x, target, a = one_channel()
    sets = [row.nonzero()[:, 0].numpy() for row in draw_part_sets(36, torch.full((50,), 9), 0) for _ in range(5)]
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: sets.pop(0))
    metric = quantus.FaithfulnessCorrelation(
        nr_runs=50, subset_size=9, perturb_baseline=0.0, normalise=False, disable_warnings=True, return_aggregate=False
    )
    theirs = metric(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=a.numpy())
    ours = faithfulness_correlation(model, x, target, a, side=6, size=9, samples=50, impute="zero")
    torch.testing.assert_close(ours, torch.tensor(theirs).float(), rtol=1e-4, atol=1e-4)


def test_quantus_sensitivity_n_is_another_quantity(quantus):
    """It removes along the map's own order and correlates over inputs: one number a step, none an input."""
    model, x, target, a = one_channel()
    metric = quantus.SensitivityN(
        features_in_step=6, perturb_baseline=0.0, normalise=False, disable_warnings=True, return_aggregate=False
    )
    theirs = metric(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=a.numpy())
    assert len(np.ravel(theirs)) != len(x)
    assert sensitivity_n(model, x, target, a).shape == (5,)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 5), (2, 2, 2)])
def test_squares_are_squares(shape):
    squares = draw_squares(torch.zeros(1, *shape), (2, 3), 200, 0).view(200, *shape[1:])
    heights, widths = squares.any(2).sum(1), squares.any(1).sum(1)
    assert torch.equal(heights, widths)
    assert torch.equal(heights * widths, squares.sum((1, 2)))
    assert set(heights.tolist()) == set(range(1, max(1, min(shape[1:]) // 2) + 1))
    assert squares.any(0).all()


def test_sizes_of_sensitivity_n():
    assert logarithmic_sizes(64) == (1, 2, 5, 12, 28, 63)
    assert logarithmic_sizes(2) == logarithmic_sizes(1) == (1,)


def test_one_size_is_faithfulness_correlation(model, x, target):
    knobs = {"side": 6, "impute": "zero", "samples": 64}
    ours = sensitivity_n(model, x, target, x, sizes=(4,), **knobs)
    assert torch.equal(ours, faithfulness_correlation(model, x, target, x, size=4, **knobs))


@pytest.mark.parametrize(
    ("metric", "knobs"),
    [(faithfulness_correlation, {"size": 65}), (sensitivity_n, {"sizes": (0, 3)}), (sensitivity_n, {"sizes": ()})],
)
def test_sizes_are_checked(metric, knobs, model, x, target):
    with pytest.raises(ValueError, match="must lie in"):
        metric(model, x, target, x, **knobs)
