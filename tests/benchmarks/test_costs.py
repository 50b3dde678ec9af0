"""Tests: benchmarks.costs. Every call runs at the size of a toy, and costs are judged by their bars."""

import math

import pytest
import torch
from torch import nn

import xnb
from benchmarks.costs import (
    COMPARED,
    EIGHT,
    PERTURBATION,
    SECONDS,
    compare_photographs,
    describe_memory,
    describe_seconds,
    explain_photograph,
    judge,
    list_calls,
    measure_call,
    measure_chunks,
    measure_features,
    photograph,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_calls_run_and_each_has_a_bar():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    calls = list_calls(net, photograph(8), ("gradient", "occlusion"))
    assert calls.keys() < SECONDS.keys()
    calls["explain, six methods"]()
    calls["explore"]()


def test_photographs_are_compared_by_all_five_methods():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    table = compare_photographs(net, side=12, count=2)
    assert set(COMPARED) <= set(table.method)
    assert table.value[table.method == "gradient"].notna().all()


def test_a_photograph_is_explained_by_all_eight_methods():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    explanation = explain_photograph(net, side=16)
    assert tuple(explanation.attributions) == EIGHT
    assert explanation.ledger.loc["kernel_shap", "forward"] == 514


def test_passes_are_counted():
    """One input, forward and back."""
    net = nn.Linear(3, 2).eval()
    target = torch.tensor([1])
    cost = measure_call(lambda: xnb.attribute(net, torch.ones(1, 3), target, "gradient"))
    assert (cost["forward"], cost["backward"]) == (1, 1)


@pytest.mark.parametrize("name", PERTURBATION)
def test_memory_is_measured_for_each_number_of_features(name):
    costs = measure_features(name, (4, 8))
    assert list(costs) == [4, 8]
    assert all(mib < 100 or math.isnan(mib) for mib in costs.values())


def test_memory_is_measured_for_each_chunk():
    assert list(measure_chunks((1, 2), side=8)) == [1, 2]


def test_costs_are_judged():
    assert judge(1.0, 1.0) == "met"
    assert judge(math.nan, 1.0) == "missed"
    cost = {"seconds": 61.0, "forward": 7, "backward": 2}
    assert describe_seconds("lint", cost) == "lint: 61.0 s, 7 forward, 2 backward; missed"
    peaks = {10: 2.0, 100: 9.0}
    assert describe_memory("rise by features", peaks, 0.1) == "rise by features, 10: 2 MiB, 100: 9 MiB; met"
