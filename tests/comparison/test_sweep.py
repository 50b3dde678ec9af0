"""Methods x metrics x images: the table, what fails in it, and what its cells share.

Tests: xnb.comparison.cells
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from networks import Counted
from small_sweep import CONTROLS, KNOBS, METHODS, METRICS, ROWS, broken, mean_of_map
from torch import nn

import xnb
from xnb import metrics
from xnb.access.rows import follow_rows
from xnb.access.score import score
from xnb.check import PromiseWarning
from xnb.comparison import sweep
from xnb.comparison.plan import choose_images
from xnb.data import Part
from xnb.methods.integrated_gradients import integrated_gradients
from xnb.metrics.randomised_models import randomised_copy


def undefined(model, x, target):
    return torch.full_like(x, torch.nan)


def one_for_all(model, x, target, attribution):
    return attribution.mean()


class TestTable:
    def test_a_row_for_each_method_metric_and_image_with_controls(self, call):
        table = call()
        assert list(table["method"].unique()) == ROWS + CONTROLS
        assert list(table["metric"].unique()) == METRICS
        assert len(table) == 8 * 2 * 5 == len(table[["method", "metric", "image"]].drop_duplicates())
        assert table["error"].isna().all()
        assert "model" not in table

    def test_values_are_those_of_the_metric_itself(self, call, model, part):
        table = call().set_index(["method", "metric"])
        target = model(part.x).argmax(1)
        for name in ("gradient", "occlusion", "edges"):
            start = {"baseline": "mean"} if name == "occlusion" else {}
            a = xnb.attribute(model, part.x, target, name, **KNOBS.get(name, {}), **start)
            for metric in METRICS:
                knobs = {"impute": "mean", **KNOBS[metric]}
                expected = metrics.METRICS.find(metric)(model, part.x, target, a, **knobs).numpy()
                np.testing.assert_allclose(table.loc[(name, metric), "value"], expected, rtol=1e-9, atol=1e-12)

    def test_explains_what_the_model_predicts_or_what_is_asked_for(self, call, model, part):
        predicted = model(part.x).argmax(1)
        assert not torch.equal(predicted, part.y)
        pd.testing.assert_series_equal(call()["value"], call(target=predicted)["value"])
        assert not np.allclose(call()["value"], call(target=part.y)["value"])

    def test_the_batch_does_not_matter(self, call):
        order = ["method", "metric", "image"]
        one, all_at_once = (call(batch=size).sort_values(order) for size in (1, 5))
        np.testing.assert_allclose(one["value"], all_at_once["value"], rtol=1e-9, atol=1e-12)

    def test_images_are_all_or_drawn_or_named(self, call):
        assert list(call()["image"].unique()) == [0, 1, 2, 3, 4]
        assert list(call(images=[3, 1])["image"].unique()) == [3, 1]
        assert tuple(call(images=3, seed=4)["image"].unique()) == tuple(choose_images(5, 3, 4))
        whole = call().set_index(["method", "metric", "image"])["value"]
        some = call(images=[3, 1]).set_index(["method", "metric", "image"])["value"]
        np.testing.assert_allclose(some, whole.loc[some.index], rtol=1e-9, atol=1e-12)

    def test_functions_and_labels(self, model, part):
        grey = partial(integrated_gradients, baseline=0.5, steps=4)
        table = xnb.compare(model, part, {"ig, grey": grey, "ig": "integrated_gradients"}, [mean_of_map], images=2)
        assert list(table["method"].unique()) == ["ig, grey", "ig", *CONTROLS]
        assert list(table["metric"].unique()) == ["mean_of_map"]
        a = grey(model, part.x[[2]], model(part.x[[2]]).argmax(1))
        found = xnb.compare(model, part, {"ig, grey": grey}, [mean_of_map], images=[2])["value"][0]
        assert found == pytest.approx(float(a.mean()), rel=1e-12)

    def test_the_seed_reaches_methods_and_metrics_unless_knobs_say_another(self, call):
        table, other = call().set_index("method"), call(seed=1).set_index("method")
        assert (table.loc["random", "value"] != other.loc["random", "value"]).all()
        pinned = call(seed=1, knobs=KNOBS | {"random": {"seed": 0}}, images=5).set_index("method")
        np.testing.assert_array_equal(pinned.loc["random", "value"], table.loc["random", "value"])

    def test_tables_have_the_controls_that_fit_them(self):
        net = nn.Linear(4, 3).eval()
        rows = Part(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2]))
        table = xnb.compare(net, rows, ["gradient_times_input"], ["srg"])
        assert list(table["method"].unique()) == ["gradient_times_input", "random", "constant", "baseline_distance"]
        assert table["value"].notna().all()

    def test_several_models(self, call, model, part):
        other = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()
        table = xnb.compare([model, other], part, METHODS, METRICS, knobs=KNOBS, batch=2)
        assert list(table["model"].unique()) == [0, 1]
        np.testing.assert_array_equal(table[table["model"] == 0]["value"], call()["value"])

    def test_progress_counts_every_cell(self, call, monkeypatch):
        counts, names = [], []

        def record(items, total, unit, describe):
            items = list(items)
            counts.append((len(items), total))
            names.extend(describe(item) for item in items)
            return items

        monkeypatch.setattr(sweep, "show_progress", record)
        call()
        assert counts == [(3 * 8 * 2, 3 * 8 * 2)]
        assert names[:3] == ["gradient, srg", "gradient, insertion", "gradient, magnitude, srg"]


class TestFailures:
    """Reported in the table, each with its whole message, while all others are measured."""

    def errors(self, table):
        return table.groupby(["method", "metric"])["error"].first().dropna().to_dict()

    def test_a_method_that_fails(self, model, part):
        table = xnb.compare(model, part, [broken, "rollout", undefined], ["srg"], knobs={"srg": {"steps": 2}})
        found = self.errors(table)
        assert set(found) == {("broken", "srg"), ("rollout", "srg"), ("undefined", "srg")}
        assert found["broken", "srg"] == "RuntimeError: out of paint\nand more"
        assert found["rollout", "srg"].startswith("ValueError: rollout:")
        assert found["undefined", "srg"].startswith("ValueError: compare: attribution must be finite\n  got: ")
        failed = table["error"].notna()
        assert table.loc[failed, "value"].isna().all()
        assert table.loc[~failed, "value"].notna().all()

    def test_a_metric_that_fails(self, model, part):
        bare = Part(part.x, part.y)
        found = self.errors(xnb.compare(model, bare, ["gradient"], ["auc", one_for_all, mean_of_map]))
        assert {metric for _, metric in found} == {"auc", "one_for_all"}
        assert "masks" in found["gradient", "auc"]
        assert (
            "one number per input (1,)" in found["gradient", "one_for_all"]
        )  # asked image by image, after all at once

    def test_a_metric_that_asks_for_another_model(self, model, part):
        name = "data_randomisation"
        assert (
            f'knobs={{"{name}": {{"other": net}}}}'
            in self.errors(xnb.compare(model, part, ["gradient"], [name]))["gradient", name]
        )
        knobs = {name: {"other": randomised_copy(model)}}
        table = xnb.compare(model, part, ["gradient"], [name], knobs=knobs)
        assert self.errors(table) == {}
        assert (table.loc[table["method"] == "gradient", "value"] < 0.9).all()
        assert (table.loc[table["method"] == "edges", "value"] > 0.99).all()  # it knows neither model

    @pytest.mark.parametrize(
        ("knobs", "says"),
        [
            ({"methods": ["gradeint"]}, "gradient"),
            ({"metrics": ["surg"]}, "srg"),
            ({"knobs": {"lrp": {}}}, "knobs of what is not compared"),
            ({"images": 9}, "images must be from 1 to 5"),
            ({"images": []}, "different positions"),
            ({"images": [1, 1]}, "different positions"),
            ({"target": torch.tensor([0])}, r"one entry per input \(5,\)"),
            ({"knobs": {"srg": {"stepz": 3}}}, "compare: srg: no knob of that name"),
            ({"knobs": {"gradient": {"chunks": 3}}}, "compare: gradient: no knob of that name"),
            ({"data": torch.zeros(2, 2, 6, 6)}, r"data = xnb.data.Part\(x, y\)"),
            ({"batch": 0}, "batch must be at least 1"),
        ],
    )
    @pytest.mark.usefixtures("as_users_run")
    def test_what_was_asked_wrongly_is_refused_before_anything_is_run(self, knobs, says, model, part):
        counted = Counted(model).eval()
        with pytest.raises(ValueError, match=says):
            xnb.compare(counted, **{"data": part, "methods": ["gradient"], "metrics": ["srg"], **knobs})
        assert counted.forwards == 0

    def test_a_model_that_cannot_be_run_is_refused(self, model, part):
        with pytest.raises(ValueError, match="evaluation mode"):
            xnb.compare(Counted(model).train(), part, METHODS, METRICS)

    def test_one_bad_image_does_not_spoil_the_others(self, model, part):
        """A method that fails on the third image, and a metric that fails on the second map, leave the other values."""
        bad = part.x[2].sum()

        def picky(model, x, target):
            if (x.flatten(1).sum(1) == bad).any():
                raise ArithmeticError("third")
            return x

        def choosy(model, x, target, attribution):
            if (attribution.flatten(1).sum(1) == part.x[1].sum()).any():
                raise ArithmeticError("second")
            return attribution.flatten(1).mean(1)

        table = xnb.compare(model, part, [picky], [choosy, mean_of_map], target=1)
        table = table[table["method"] == "picky"].set_index(["metric", "image"])
        means = part.x.flatten(1).mean(1).tolist()
        assert table.loc["choosy", "error"].tolist()[1:3] == ["ArithmeticError: second", "ArithmeticError: third"]
        assert table.loc["choosy", "value"].dropna().tolist() == pytest.approx([means[0], *means[3:]])
        assert table.loc["mean_of_map", "value"].dropna().tolist() == pytest.approx([*means[:2], *means[3:]])

    def test_promises_are_no_flood(self, model, part):
        with warnings.catch_warnings():
            warnings.simplefilter("error", PromiseWarning)
            warner = partial(xnb.attribute, method="integrated_gradients", steps=1, baseline=3.0)
            assert xnb.compare(model, part, {"ig": warner}, [mean_of_map])["error"].isna().all()


class TestRows:
    """What belongs to an input follows it, in blocks of two of four images that were picked out of five."""

    def test_a_baseline_for_each_input(self, model, part):
        baseline = part.x.roll(1, 0)
        picked = [4, 0, 3, 1]
        knobs = {"integrated_gradients": {"baseline": baseline, "steps": 4}}
        table = xnb.compare(
            model, part, ["integrated_gradients"], [mean_of_map], images=picked, batch=3, knobs=knobs, target=part.y
        )
        x, start = part.x[picked], baseline[picked]
        expected = integrated_gradients(model, x, part.y[picked], baseline=start, steps=4).flatten(1).mean(1)
        found = table.loc[table["method"] == "integrated_gradients", "value"]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)

    def test_a_second_input_of_the_model(self, model, part):
        """f = g(x) + s, s the number of the input: the score that a metric asks for is that of the right input."""
        shift = torch.arange(5.0).double()[:, None]

        def shifted(x):
            return model(x) + follow_rows(shift, len(x), "shift")

        def score_there(model, x, target, attribution):
            return score(model, x, target)

        picked = [4, 0, 3, 1]
        table = xnb.compare(shifted, part, [], [score_there], images=picked, batch=3, target=part.y)
        expected = model(part.x).gather(1, part.y[:, None])[:, 0] + shift[:, 0]
        found = table.loc[table["method"] == "constant", "value"]
        np.testing.assert_allclose(found, expected[picked].detach(), rtol=1e-9)


def test_one_name_and_one_number(model, part):
    one = xnb.compare(model, part, "gradient", "sparseness", target=1)
    many = xnb.compare(model, part, ["gradient"], ["sparseness"], target=torch.ones(5, dtype=torch.long))
    pd.testing.assert_series_equal(one["value"], many["value"])


class TestSharing:
    def passes(self, model, part, methods, measures, **more):
        counted = Counted(model).eval()
        xnb.compare(counted, part, methods, measures, batch=5, **more)
        return counted.forwards

    def test_a_curve_is_run_once_for_all_metrics_that_read_it(self, model, part):
        assert self.passes(model, part, [], ["srg"]) == self.passes(model, part, [], ["srg", "morf", "lerf"])

    def test_neighbours_are_explained_once_for_all_metrics_that_read_them(self, model, part):
        both = ["max_sensitivity", "average_sensitivity"]
        assert self.passes(model, part, ["gradient"], both[:1]) == self.passes(model, part, ["gradient"], both)

    @pytest.mark.parametrize("metric", ["faithfulness_correlation", "sensitivity_n", "single_deletion", "infidelity"])
    def test_what_does_not_depend_on_the_method_is_run_once_for_all(self, metric, model, part):
        """Controls alone cost as much as with a method beside them, but for the method's own passes."""
        assert self.passes(model, part, ["gradient"], [metric]) == self.passes(model, part, [], [metric]) + 5

    def test_a_method_costs_what_it_costs_alone(self, model, part):
        knobs = {name: KNOBS[name] for name in ("srg", "occlusion")}
        table = xnb.compare(model, part, ["gradient", "gradient_times_input", "occlusion"], ["srg"], knobs=knobs)
        cost = table.groupby("method")[["forward", "backward"]].first()
        assert (cost.loc["gradient"] == [1, 1]).all()
        assert (cost.loc["gradient_times_input"] == [1, 1]).all()
        assert (cost.loc["occlusion"] == [5, 0]).all()  # the picture, and four windows
        assert (cost.loc[CONTROLS] == 0).all(axis=None)
