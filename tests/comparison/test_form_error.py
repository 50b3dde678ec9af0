"""The error of a fast form, where it is known."""

import copy
import math

import pytest
import torch
from torch import nn

import xnb
from xnb.comparison import measure_fast_form
from xnb.comparison.form_error import compare_maps

X = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)) + 0.5


@pytest.fixture
def linear():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(6, 3).eval()


def test_a_linear_model_in_bfloat16_has_the_error_of_rounded_weights(linear):
    """Its gradient is the row of its weights, and that in bfloat16."""
    target = torch.tensor([0, 1, 2])
    weights = linear.weight.detach()
    known = (weights.bfloat16().float() - weights).abs().amax(1) / weights.abs().amax(1)
    fast = xnb.prepare(linear, X, mixed_precision=True)
    table = measure_fast_form(linear, fast, X, target, "gradient", rounds=1)
    assert list(table.index) == ["gradient"]
    row = table.loc["gradient"]
    assert row.error == pytest.approx(float(known.median()), rel=1e-6)
    assert row.largest_error == pytest.approx(float(known.max()), rel=1e-6)
    assert 0 < row.error <= row.largest_error <= 2**-8
    assert row.rank_correlation == row.least_correlation == pytest.approx(1)


def test_the_model_beside_itself_has_none_and_beside_double_precision_its_own(linear):
    target = torch.tensor([0, 1, 2])
    model = nn.Sequential(copy.deepcopy(linear), nn.Tanh(), nn.Linear(3, 3)).eval()
    same = measure_fast_form(model, model, X, target, "gradient", rounds=1).loc["gradient"]
    assert same.error == same.largest_error == 0
    exact = measure_fast_form(model, model, X, target, "gradient", rounds=1, double=True).loc["gradient"]
    assert 0 < exact.largest_error < 1e-5
    assert next(model.parameters()).dtype == torch.float32


def test_seconds_are_of_both_and_knobs_arrive(linear):
    fast = xnb.prepare(linear)
    knobs = {"integrated_gradients": {"steps": 1}}
    table = measure_fast_form(linear, fast, X, 1, ["gradient", "integrated_gradients"], knobs=knobs, rounds=2)
    assert list(table.index) == ["gradient", "integrated_gradients"]
    assert (table.seconds > 0).all()
    assert table.ratio.to_list() == (table.fast_seconds / table.seconds).to_list()
    assert (table.refused == "").all()


def test_what_a_method_refuses_stands_in_its_row(linear):
    table = measure_fast_form(linear, linear, X, 1, ["occlusion", "gradient"], rounds=1)
    assert table.refused["occlusion"].startswith("occlusion: x must have places")
    assert math.isnan(table.error["occlusion"])
    assert table.error["gradient"] == 0


@pytest.mark.usefixtures("as_users_run")
def test_no_round_is_refused(linear):
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        measure_fast_form(linear, linear, X, 1, "gradient", rounds=0)


def test_maps_are_compared_input_by_input():
    """The first is off by 1 of 4 and in another order, the second by nothing, the third is constant."""
    reference = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    found = torch.tensor([[2.0, 1.0, 4.0], [1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    assert compare_maps(found, reference) == {
        "error": 0,
        "largest_error": 0.25,
        "rank_correlation": pytest.approx(0.5),  # torch's median of two is the lower one
        "least_correlation": pytest.approx(0.5),
    }
    assert all(map(math.isnan, compare_maps(found[:0], reference[:0]).values()))
