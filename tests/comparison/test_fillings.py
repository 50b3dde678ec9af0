"""Where maps begin is what metrics fill with, in every form that a baseline may have; where it is not, it is said.

Tests: xnb.access.descriptions
"""

import warnings

import numpy as np
import pytest
import torch
from small_sweep import mean_of_map
from torch import nn

import xnb
from xnb.access.baselines import expand_baseline
from xnb.check import PromiseWarning
from xnb.comparison.fillings import choose_filling
from xnb.comparison.plan import make_plan
from xnb.data import Part
from xnb.metrics.imputers import make_fill

BASELINES = [0, 0.5, "zero", "mean", "blur", "noise", torch.full((2, 6, 6), 0.25).double(), lambda x: x.flip(-1)]


def name_kind(baseline):
    """Each test process has to find the same names: no address in memory."""
    return baseline if isinstance(baseline, str) else type(baseline).__name__


@pytest.mark.parametrize("baseline", BASELINES, ids=name_kind)
def test_maps_begin_at_what_metrics_fill_with(baseline, model, x):
    """Where all is removed there stands what the path begins at."""
    filling = choose_filling(baseline, x, model, None)
    start = expand_baseline(filling.baseline, x, model)
    fill = make_fill(filling.impute, x, (2, 3))
    torch.testing.assert_close(fill(slice(None), torch.ones(1, 1, 1, 6, 6).double())[0], start)
    torch.testing.assert_close(fill(slice(1, 3), torch.zeros(1, 1, 1, 6, 6).double())[0], x[1:3])


def test_places_have_their_mean_and_what_has_none_zero(model):
    def default(*shape, units=None):
        return choose_filling(None, torch.rand(3, *shape), lambda x: x.flatten(1)[:, :2], units).name

    assert default(3, 8, 8) == default(1, 9) == "mean"
    assert default(7) == default(5, 4) == default(5, 4, units=(1,)) == "zero"
    assert default(5, 4, units=(2,)) == "mean"


def test_named_axes_reach_the_baselines_too():
    """Of signals of three channels under a function, whose axes nothing shows."""
    part = Part(torch.rand(2, 3, 8), torch.zeros(2, dtype=torch.long))
    net = lambda x: x.mean(2)  # noqa: E731
    for baseline in (None, "blur"):
        table = xnb.compare(net, part, ["occlusion"], ["srg", "deletion"], units=(2,), baseline=baseline)
        assert table["error"].isna().all()


def plan(model, part, methods, metrics, **more):
    options = {"images": None, "target": None, "seed": 0, "batch": 2, "knobs": {}}
    return make_plan([model], part, methods, metrics, **(options | more))


def test_every_method_and_metric_with_the_knob_has_it_and_road_stays_what_it_is(model, part):
    methods = ["integrated_gradients", "occlusion", "kernel_shap", "gradient"]
    made = plan(model, part, methods, ["srg", "insertion", "deletion", "road", "completeness_gap"], baseline=0.5)
    for label in ("integrated_gradients", "occlusion", "kernel_shap", "baseline_distance"):
        assert made.functions.methods[label].keywords["baseline"] == 0.5
    assert made.functions.metrics["completeness_gap"].keywords["baseline"] == 0.5
    for name in ("srg", "insertion", "deletion"):
        assert made.functions.metrics[name].keywords.get("impute") == 0.5
    assert "impute" not in made.functions.metrics["road"].keywords


def test_a_row_an_input_follows_it(model, part):
    start = part.x.roll(1, 0)
    picked = {"images": [4, 0, 3], "batch": 2, "target": part.y}
    table = xnb.compare(model, part, ["baseline_distance"], [mean_of_map, "deletion"], baseline=start, **picked)
    assert table["error"].isna().all()
    found = table[(table["method"] == "baseline_distance") & (table["metric"] == "mean_of_map")]["value"]
    expected = (part.x - start).abs().flatten(1).mean(1)[[4, 0, 3]]
    np.testing.assert_allclose(found, expected)


def test_it_is_part_of_the_settings_of_a_file(model, part, tmp_path):
    path = tmp_path / "a.parquet"
    xnb.compare(model, part, ["gradient"], ["deletion"], path=path, baseline=0.5)
    with pytest.raises(ValueError, match="other settings: methods, metrics"):
        xnb.compare(model, part, ["gradient"], ["deletion"], path=path)


@pytest.mark.parametrize("wrong", ["grey", torch.zeros(3, 3)])
def test_what_is_no_baseline_is_refused_before_anything_is_run(wrong, model, part):
    with pytest.raises(ValueError, match="baseline: "):
        plan(model, part, ["occlusion"], ["srg"], baseline=wrong)


class TestMismatch:
    methods = ("integrated_gradients", "occlusion", "gradient")
    metrics = ("srg", "road", mean_of_map)

    def warned(self, model, part, **more):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan(model, part, self.methods, self.metrics, **more)
        return [str(warning.message) for warning in caught if warning.category is PromiseWarning]

    @pytest.mark.parametrize("baseline", [None, *BASELINES], ids=name_kind)
    def test_one_choice_has_none(self, baseline, model, part):
        assert self.warned(model, part, baseline=baseline) == []

    def test_a_baseline_of_one_method_is_told_with_the_knob_that_mends_it(self, model, part):
        knobs = {"integrated_gradients": {"baseline": 0.5}}
        (message,) = self.warned(model, part, knobs=knobs)
        assert "integrated_gradients begins at 0.5, srg fills with 'mean'" in message
        mended = {}
        exec(message.split("try: ")[1], mended)
        assert mended["knobs"] == {"integrated_gradients": {"baseline": "mean"}}
        assert self.warned(model, part, knobs=mended["knobs"]) == []

    def test_a_filling_of_one_metric_is_told_for_all_methods_at_once(self, model, part):
        (message,) = self.warned(model, part, knobs={"srg": {"impute": "zero"}}, baseline=0.5)
        assert "integrated_gradients begins at 0.5, srg fills with 'zero'; occlusion begins at 0.5" in message
        assert "try: knobs={'srg': {'impute': 0.5}}" in message

    def test_zero_by_name_or_number_is_one(self, model, part):
        assert self.warned(model, part, knobs={"occlusion": {"baseline": 0.0}}, baseline="zero") == []

    def test_what_cannot_be_compared_is_not_told(self, model, part):
        """An imputer looks at what is left, and of a function nobody knows."""
        for impute in ("noisy_linear", lambda x, removed: x.expand(len(removed), *x.shape)):
            assert self.warned(model, part, knobs={"srg": {"impute": impute}}) == []

    def test_a_knob_that_no_line_can_hold_is_named(self, model, part):
        knobs = {"occlusion": {"baseline": 0.5}}
        (message,) = self.warned(model, part, knobs=knobs, baseline=torch.zeros(2, 6, 6).double())
        assert "without those of occlusion" in message


def test_black_maps_judged_by_grey_seem_worse_than_they_are():
    """f is the darkness of a corner, x black there: from black nothing is lost, from grey all of it is."""
    x = torch.full((2, 1, 8, 8), 0.75)
    x[:, :, :2, :2] = 0

    def dark(x):
        corner = 1 - x[:, 0, :2, :2].mean((1, 2))
        return torch.stack([corner, torch.zeros_like(corner)], 1)

    part = Part(x, torch.zeros(2, dtype=torch.long))
    knobs = {"occlusion": {"window": 2}}
    agreed = xnb.compare(dark, part, ["occlusion"], ["srg"], target=0, knobs=knobs, baseline=0.5)
    with pytest.warns(PromiseWarning, match="occlusion begins at 'zero', srg fills with 0.5"):
        parted = xnb.compare(
            dark,
            part,
            ["occlusion"],
            ["srg"],
            target=0,
            knobs={"occlusion": {"window": 2, "baseline": 0}},
            baseline=0.5,
        )
    values = [t.loc[t["method"] == "occlusion", "value"].mean() for t in (agreed, parted)]
    assert values[0] > 0.4 > 0.1 > abs(values[1])


def test_linear_models_are_still_refused_nothing(x, target):
    """A table has no places: zero on both sides, and nothing to tell."""
    rows = Part(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2]))
    table = xnb.compare(nn.Linear(4, 3).eval(), rows, ["integrated_gradients", "kernel_shap"], ["srg", "deletion"])
    assert table["error"].isna().all()


def test_what_belongs_to_an_input_is_there_when_the_model_is_looked_at():
    """A mask for each input of the data: whether x has places is asked of the first input, with its own mask."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv1d(2, 3, 3, padding=1)

        def forward(self, x, mask):
            return (self.layer(x) * mask[:, None]).sum(2)

    torch.manual_seed(0)
    x, mask = torch.rand(3, 2, 5), torch.rand(3, 5)
    model = xnb.adapters.with_inputs(Masked().eval(), mask=mask)
    part = Part(x, torch.tensor([0, 1, 2]))
    assert xnb.compare(model, part, ["integrated_gradients"], ["deletion"])["error"].isna().all()
