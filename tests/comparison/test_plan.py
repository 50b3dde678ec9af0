"""Which images are compared, and how functions, models and data are recognised."""

from functools import partial
from inspect import signature

import pytest
import torch
from small_sweep import mean_of_map
from torch import nn

import xnb
from xnb.access.descriptions import describe_function, fingerprint
from xnb.comparison.plan import choose_images, make_plan
from xnb.data import Part
from xnb.methods.integrated_gradients import integrated_gradients


def test_images_are_all_or_drawn_or_named():
    assert choose_images(5, None, 0) == [0, 1, 2, 3, 4]
    assert choose_images(5, [3, 1], 0) == [3, 1]
    draws = {tuple(choose_images(5, 3, seed)) for seed in range(5)}
    assert all(list(draw) == sorted(set(draw)) and len(draw) == 3 for draw in draws)
    assert len(draws) > 1


def test_fingerprints():
    w = torch.tensor([1.0, 2.0])
    assert fingerprint([w]) == fingerprint([w.clone()]) != fingerprint([w[None]])
    assert fingerprint([w, None]) != fingerprint([None, w])


def test_functions_are_described_by_module_name_and_knobs():
    text = describe_function(partial(integrated_gradients, steps=3))
    assert text == "xnb.methods.integrated_gradients.integrated_gradients(steps=3)"


def test_knobs_are_described_by_their_content():
    def describe(function, **knobs):
        return describe_function(partial(function, **knobs))

    w = torch.tensor([1.0, 2.0])
    assert describe(integrated_gradients, baseline=w) == describe(integrated_gradients, baseline=w.clone())
    assert describe(integrated_gradients, baseline=w) != describe(integrated_gradients, baseline=w + 1)
    assert describe(mean_of_map, other=nn.Linear(2, 2)) != describe(mean_of_map, other=nn.Linear(2, 2))
    assert describe(mean_of_map, method=mean_of_map) == describe(mean_of_map, method=mean_of_map)


def test_settings_describe_every_method_and_metric():
    part = Part(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long))
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    knobs = {"ig": {"steps": 3}}
    options = {"images": None, "target": None, "seed": 0, "batch": 2}
    plan = make_plan([net], part, {"ig": "integrated_gradients"}, [mean_of_map], knobs=knobs, **options)
    described = plan.settings()
    assert described["methods"].keys() == {"ig", "random", "constant", "baseline_distance", "edges", "centre"}
    assert described["methods"]["ig"].endswith(".integrated_gradients(baseline='mean', steps=3)")
    assert described["metrics"].keys() == {"mean_of_map"}


def test_a_plan_has_the_defaults_of_compare():
    """`estimate_cost` and the command line make a plan without `compare`: what it would cost, and do, is the same."""
    planned, compared = signature(make_plan).parameters, signature(xnb.compare).parameters
    shared = planned.keys() & compared.keys() - {"model", "data"}
    assert shared == planned.keys() - {"models", "data"}
    assert {name: planned[name].default for name in shared} == {name: compared[name].default for name in shared}


class TestUnits:
    """f = sum of w_t x_t over six tokens of two features; token 0 holds all of it, so its removal takes all."""

    @staticmethod
    def model(x):
        f = x[:, 0].sum(1)
        return torch.stack([f, torch.zeros_like(f)], 1)

    part = Part(torch.ones(2, 6, 2), torch.zeros(2, dtype=torch.long))
    methods = ("occlusion", "gradient_times_input", "edges", "centre")
    metrics = ("deletion", "effective_support")

    def compare(self, **knobs):
        settings = {"deletion": {"steps": 6, "impute": "zero", "unit": "as is"}, **knobs.pop("knobs", {})}
        table = xnb.compare(self.model, self.part, self.methods, self.metrics, target=0, knobs=settings, **knobs)
        return table.set_index(["method", "metric"]).sort_index()

    def test_units_reach_every_method_and_metric_that_takes_them(self):
        """Token 0 goes first: the score is 2, then 0 for five steps: an area of (2 / 2) / 6; one token holds all."""
        table = self.compare(units=(1,))
        assert table["error"].isna().all()
        for method in ("occlusion", "gradient_times_input"):
            assert table.loc[(method, "deletion"), "value"].tolist() == pytest.approx([1 / 6] * 2)
            assert table.loc[(method, "effective_support"), "value"].tolist() == pytest.approx([1, 1])
        assert table.loc[("centre", "effective_support"), "value"].iloc[0] > 2

    def test_a_knob_of_one_alone_goes_first(self):
        table = self.compare(units=(1,), knobs={"effective_support": {"units": (1, 2)}})
        support = table.loc[("gradient_times_input", "effective_support"), "value"]
        assert support.tolist() == pytest.approx([2, 2])

    def test_without_them_nobody_guesses(self):
        table = self.compare()
        errors = table["error"].dropna().unique()
        assert table.loc[("gradient_times_input", "deletion"), "error"].notna().all()
        assert all("must be named" in error for error in errors)
        assert table.loc[("occlusion", "deletion"), "error"].str.startswith("ValueError: occlusion: which axes").all()

    def test_they_are_checked_before_anything_runs(self):
        with pytest.raises(ValueError, match=r"compare: units must be axes of x(.|\n)*try: units=\(2,\)"):
            self.compare(units=(3,))

    def test_they_are_part_of_the_settings_of_a_file(self, tmp_path):
        self.compare(units=(1,), path=tmp_path / "a.parquet")
        with pytest.raises(ValueError, match="settings"):
            self.compare(units=(2,), path=tmp_path / "a.parquet")
