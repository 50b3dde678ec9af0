"""Integrated gradients: quadratures, and refinement to a stated gap.

Tests: xnb.methods.integrated_gradients, xnb.methods.adaptive_steps
"""

import numpy as np
import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.ledger import count_passes
from xnb.access.score import score
from xnb.methods.adaptive_steps import FIRST_STEPS

NAME = "integrated_gradients"


def network(activation):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Linear(72, 32), activation, nn.Linear(32, 32), activation, nn.Linear(32, 3)
        return nn.Sequential(nn.Flatten(), *layers).double().eval()


def gap(model, x, target, **knobs):
    change = score(model, x, target) - score(model, torch.zeros_like(x), target)
    return ((attribute(model, x, target, NAME, **knobs).flatten(1).sum(1) - change) / change).abs()


def test_gauss_legendre_is_exact_on_polynomials(x, target):
    """n nodes integrate degree 2 n - 1 exactly; the slope of a cube along the path has degree 2."""
    cube = lambda z: z.flatten(1)[:, :3] ** 3  # noqa: E731
    expected = torch.zeros_like(x).flatten(1)
    expected[torch.arange(5), target] = x.flatten(1)[torch.arange(5), target] ** 3
    torch.testing.assert_close(attribute(cube, x, target, NAME, steps=2), expected.view_as(x), rtol=1e-12, atol=1e-14)
    assert (gap(cube, x, target, steps=1) > 0.1).all()


def test_the_path_starts_at_the_baseline(x, target):
    """The slope of a square is 2 z: from b to x it gives x^2 - b^2, whatever b is."""
    square = lambda z: z.flatten(1)[:, :3] ** 2  # noqa: E731
    rows = torch.arange(5)
    for start in (0.7, x.flip(0)):
        b = torch.as_tensor(start, dtype=x.dtype).expand_as(x).flatten(1)
        expected = torch.zeros_like(b)
        expected[rows, target] = x.flatten(1)[rows, target] ** 2 - b[rows, target] ** 2
        found = attribute(square, x, target, NAME, steps=2, baseline=start)
        torch.testing.assert_close(found, expected.view_as(x), rtol=1e-12, atol=1e-14)


def test_midpoint_by_hand(x, target):
    model = network(nn.Tanh())
    slopes = [attribute(model, x * (k + 0.5) / 6, target, "gradient") for k in range(6)]
    found = attribute(model, x, target, NAME, steps=6, quadrature="midpoint")
    torch.testing.assert_close(found, x * sum(slopes) / 6, rtol=1e-12, atol=1e-14)


def test_a_smooth_network_converges_fast_and_a_relu_network_does_not(x, target):
    smooth, kinked = network(nn.Tanh()), network(nn.ReLU())
    assert gap(smooth, x, target, steps=16).max() < 1e-6
    assert gap(kinked, x, target, steps=16).max() > 1e-4
    for model, order in ((smooth, -2), (kinked, -1)):
        steps = np.array([8, 16, 32, 64, 128])
        gaps = [float(gap(model, x, target, steps=int(n), quadrature="midpoint").mean()) for n in steps]
        fitted = np.polyfit(np.log(steps), np.log(gaps), 1)[0]
        assert abs(fitted - order) < 0.5, fitted


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh()])
def test_refined_to_the_stated_gap(tolerance, activation, x, target):
    model = network(activation)
    with count_passes() as passes:
        found = attribute(model, x, target, NAME, tolerance=tolerance, steps=5000)
    assert (gap(model, x, target, tolerance=tolerance, steps=5000) <= tolerance * (1 + 1e-9)).all()
    exact = attribute(model, x, target, NAME, steps=4000, quadrature="midpoint")
    assert (found - exact).norm() < 20 * tolerance * exact.norm() + 1e-6
    assert passes.forward == passes.backward >= 5 * (FIRST_STEPS + 1)


def test_where_the_slope_does_not_change_the_first_nodes_are_enough(model, x, target):
    """A network without biases, along a ray that does not start at its kink in zero."""
    with count_passes() as passes:
        found = attribute(model, x, target, NAME, tolerance=1e-6, baseline=x / 2) * 2
    assert passes.forward == 5 * (FIRST_STEPS + 1)
    torch.testing.assert_close(found, attribute(model, x, target, "gradient_times_input"), rtol=1e-9, atol=1e-12)


def test_a_tolerance_alone_is_met(x, target):
    model = network(nn.ReLU())
    assert (gap(model, x, target, tolerance=1e-3) <= 1e-3).all()
    assert (gap(model, x, target) > 1e-3).any()


def test_steps_are_the_most_that_an_input_takes(x, target):
    model = network(nn.ReLU())
    with count_passes() as passes:
        attribute(model, x, target, NAME, tolerance=1e-12, steps=40)
    assert passes.forward <= 5 * 2 * 40  # the last round may double what it began with


def test_refinement_of_one_input_does_not_depend_on_the_others(x, target):
    model = network(nn.ReLU())
    together = attribute(model, x, target, NAME, tolerance=0.01, baseline=0.2)
    alone = [attribute(model, x[i : i + 1], target[i : i + 1], NAME, tolerance=0.01, baseline=0.2) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        attribute(model, x, target, NAME, tolerance=0.01, baseline=0.2, chunk=2), together, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"steps": 0}, r"at least 1\n  got: 0\n  try: steps=32"),
        ({"tolerance": 0.0}, "must be positive"),
        ({"quadrature": "simpson"}, "gauss_legendre or midpoint"),
        ({"baseline": torch.zeros(3, dtype=torch.double)}, "must broadcast"),
        ({"baseline": torch.zeros(1)}, r"x's dtype and device, torch.float64 on cpu\n  got: float32\[1\]"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(knobs, says, model, x, target):
    with pytest.raises(ValueError, match=says):
        attribute(model, x, target, NAME, **knobs)


def test_adaptive_steps_are_made_where_the_input_is(model, x, target):
    """With "meta" as the default device a tensor made there would have no values."""
    expected = attribute(model, x, target, tolerance=0.01)
    with torch.device("meta"):
        found = attribute(model, x, target, tolerance=0.01)
    torch.testing.assert_close(found, expected)
