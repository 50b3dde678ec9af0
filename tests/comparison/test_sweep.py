"""Methods x metrics x images: the table, its file, and what becomes of a run that is killed."""

import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet
from torch import nn

import xnb
from xnb import checkpoints, data, metrics
from xnb.comparison import sweep
from xnb.comparison.plan import chosen, fingerprint, told
from xnb.data import Part
from xnb.methods.integrated_gradients import integrated_gradients
from xnb.metrics.randomised_models import randomised_copy

CONTROLS = ["random", "constant", "input", "edges", "centre"]
METHODS = ["gradient", "occlusion"]
METRICS = ["srg", "insertion"]
FEW = {"srg": {"steps": 3}, "insertion": {"steps": 3}, "occlusion": {"window": 3, "stride": 3}}


class Counted(nn.Module):
    """Counts the inputs that are run."""

    def __init__(self, model):
        super().__init__()
        self.model, self.forwards = model, 0

    def forward(self, x):
        self.forwards += len(x)
        return self.model(x)


@pytest.fixture
def part(x, target):
    masks = torch.zeros(5, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 2:4, 1:5] = True
    return Part(x, target, masks)


@pytest.fixture
def call(model, part):
    return partial(xnb.compare, model, part, METHODS, METRICS, knobs=FEW, batch=2)


def broken(model, x, target):
    raise RuntimeError("out of paint\nand more")


def undefined(model, x, target):
    return torch.full_like(x, torch.nan)


def mean_of_map(model, x, target, attribution):
    return attribution.flatten(1).mean(1)


def one_for_all(model, x, target, attribution):
    return attribution.mean()


class TestTable:
    def test_a_row_for_each_method_metric_and_image_with_controls(self, call):
        table = call()
        assert list(table["method"].unique()) == METHODS + CONTROLS
        assert list(table["metric"].unique()) == METRICS
        assert len(table) == 7 * 2 * 5 == len(table[["method", "metric", "image"]].drop_duplicates())
        assert table["error"].isna().all()
        assert "model" not in table

    def test_values_are_those_of_the_metric_itself(self, call, model, part):
        table = call().set_index(["method", "metric"])
        target = model(part.x).argmax(1)
        for name in ("gradient", "occlusion", "edges"):
            a = xnb.attribute(model, part.x, target, name, **FEW.get(name, {}))
            for metric in METRICS:
                expected = metrics.METRICS.find(metric)(model, part.x, target, a, **FEW[metric]).numpy()
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
        draws = {tuple(chosen(5, 3, seed)) for seed in range(5)}
        assert all(list(draw) == sorted(set(draw)) and len(draw) == 3 for draw in draws)
        assert tuple(call(images=3, seed=4)["image"].unique()) == tuple(chosen(5, 3, 4))
        assert len(draws) > 1
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
        kept = call(seed=1, knobs=FEW | {"random": {"seed": 0}}, images=5).set_index("method")
        np.testing.assert_array_equal(kept.loc["random", "value"], table.loc["random", "value"])

    def test_tables_have_the_controls_that_fit_them(self):
        net = nn.Linear(4, 3).eval()
        rows = Part(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2]))
        table = xnb.compare(net, rows, ["gradient_times_input"], ["srg"])
        assert list(table["method"].unique()) == ["gradient_times_input", "random", "constant", "input"]
        assert table["value"].notna().all()

    def test_several_models(self, call, model, part):
        other = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()
        table = xnb.compare([model, other], part, METHODS, METRICS, knobs=FEW, batch=2)
        assert list(table["model"].unique()) == [0, 1]
        np.testing.assert_array_equal(table[table["model"] == 0]["value"], call()["value"])

    def test_progress_counts_every_cell(self, call, monkeypatch):
        seen = []

        def watched(items, total, unit):
            items = list(items)
            seen.append((len(items), total))
            return items

        monkeypatch.setattr(sweep, "watched", watched)
        call()
        assert seen == [(3 * 7 * (1 + 2), 3 * 7 * (1 + 2))]


class TestFailures:
    """Reported in the table, each with its first line, while all others are measured."""

    def errors(self, table):
        return table.groupby(["method", "metric"])["error"].first().dropna().to_dict()

    def test_a_method_that_fails(self, model, part):
        table = xnb.compare(model, part, [broken, "rollout", undefined], ["srg"], knobs={"srg": {"steps": 2}})
        found = self.errors(table)
        assert set(found) == {("broken", "srg"), ("rollout", "srg"), ("undefined", "srg")}
        assert found["broken", "srg"] == "RuntimeError: out of paint"
        assert found["rollout", "srg"].startswith("ValueError: rollout:")
        assert found["undefined", "srg"] == "ValueError: compare: attribution must be finite"
        failed = table["error"].notna()
        assert table.loc[failed, "value"].isna().all()
        assert table.loc[~failed, "value"].notna().all()

    def test_a_metric_that_fails(self, model, part):
        bare = Part(part.x, part.y)
        found = self.errors(xnb.compare(model, bare, ["gradient"], ["auc", one_for_all, mean_of_map]))
        assert {metric for _, metric in found} == {"auc", "one_for_all"}
        assert "masks" in found["gradient", "auc"]
        assert "one number per input (5,)" in found["gradient", "one_for_all"]

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
            ({"images": []}, "different places"),
            ({"images": [1, 1]}, "different places"),
            ({"target": torch.tensor([0])}, "one class per input of the data"),
            ({"batch": 0}, "batch must be at least 1"),
        ],
    )
    def test_what_was_asked_wrongly_is_refused_before_anything_is_run(self, knobs, says, model, part):
        counted = Counted(model).eval()
        with pytest.raises(ValueError, match=says):
            xnb.compare(counted, part, **{"methods": ["gradient"], "metrics": ["srg"], **knobs})
        assert counted.forwards == 0

    def test_a_model_that_cannot_be_run_is_refused(self, model, part):
        with pytest.raises(ValueError, match="evaluation mode"):
            xnb.compare(Counted(model).train(), part, METHODS, METRICS)


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
        knobs = {name: FEW[name] for name in ("srg", "occlusion")}
        table = xnb.compare(model, part, ["gradient", "gradient_times_input", "occlusion"], ["srg"], knobs=knobs)
        cost = table.groupby("method")[["forward", "backward"]].first()
        assert (cost.loc["gradient"] == [1, 1]).all()
        assert (cost.loc["gradient_times_input"] == [1, 1]).all()
        assert (cost.loc["occlusion"] == [5, 0]).all()  # the picture, and four windows
        assert (cost.loc[CONTROLS] == 0).all(axis=None)


class TestFile:
    def test_values_do_not_depend_on_the_clock_and_seconds_lie_beside(self, call, tmp_path):
        a, b = tmp_path / "a.parquet", tmp_path / "deep" / "b.parquet"
        table = call(path=a)
        call(path=b)
        assert a.read_bytes() == b.read_bytes()
        assert "seconds" not in parquet.read_schema(a).names
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "a.seconds.parquet", "deep"]
        assert (table["seconds"] > 0).all()
        pd.testing.assert_frame_equal(
            table.drop(columns=["seconds", "method_seconds"]),
            call().drop(columns=["seconds", "method_seconds"]),
        )

    def test_what_is_finished_is_not_run_again(self, call, tmp_path, monkeypatch):
        path = tmp_path / "t.parquet"
        first = call(path=path)
        before = path.read_bytes()
        monkeypatch.setattr(sweep, "attempt", lambda call: pytest.fail("run again"))
        pd.testing.assert_frame_equal(call(path=path), first)
        assert path.read_bytes() == before

    def test_without_its_ledger_seconds_are_not_known(self, call, tmp_path):
        path = tmp_path / "t.parquet"
        first = call(path=path)
        (tmp_path / "t.seconds.parquet").unlink()
        again = call(path=path)
        assert again[["seconds", "method_seconds"]].isna().all(axis=None)
        np.testing.assert_array_equal(first["value"], again["value"])

    def test_errors_and_nan_survive(self, model, part, tmp_path):
        ask = partial(xnb.compare, model, part, [broken], [mean_of_map], path=tmp_path / "t.parquet")
        ask()
        again = ask().set_index("method")
        assert (again.loc["broken", "error"] == "RuntimeError: out of paint").all()
        assert again.loc["broken", "value"].isna().all()
        assert again.loc["random", "error"].isna().all()

    @pytest.mark.parametrize(
        ("setting", "change"),
        [
            ("seed", {"seed": 1}),
            ("metrics", {"knobs": FEW | {"srg": {"steps": 4}}}),
            ("methods", {"methods": ["occlusion", "gradient"]}),
            ("images", {"images": [0, 1]}),
            ("target", {"target": torch.zeros(5, dtype=torch.long)}),
            ("batch", {"batch": 3}),
        ],
    )
    def test_other_settings_are_refused_by_name(self, setting, change, model, part, tmp_path):
        ask = {"methods": METHODS, "metrics": METRICS, "knobs": FEW, "batch": 2, "path": tmp_path / "t.parquet"}
        xnb.compare(model, part, **ask)
        before = (tmp_path / "t.parquet").read_bytes()
        with pytest.raises(ValueError, match=f"written with other settings: .*{setting}.*\n.*\n.*t-2.parquet"):
            xnb.compare(model, part, **ask | change)
        assert (tmp_path / "t.parquet").read_bytes() == before

    def test_another_model_and_other_data_are_refused(self, call, model, part, tmp_path):
        call(path=tmp_path / "t.parquet")
        ask = partial(xnb.compare, methods=METHODS, metrics=METRICS, knobs=FEW, batch=2, path=tmp_path / "t.parquet")
        with pytest.raises(ValueError, match="other settings: data "):
            ask(model, Part(part.x + 1e-9, part.y, part.masks))
        with torch.no_grad():
            model[0].weight[0, 0, 0, 0] += 1e-9
        with pytest.raises(ValueError, match="other settings: models "):
            ask(model, part)

    def test_a_file_of_something_else_is_refused(self, call, tmp_path):
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
        with pytest.raises(ValueError, match="other settings"):
            call(path=tmp_path / "t.parquet")

    def test_fingerprints(self):
        w = torch.tensor([1.0, 2.0])
        assert fingerprint([w]) == fingerprint([w.clone()]) != fingerprint([w[None]])
        assert fingerprint([w, None]) != fingerprint([None, w])
        assert told(partial(integrated_gradients, baseline=w)) != told(partial(integrated_gradients, baseline=w + 1))
        one, other = nn.Linear(2, 2), nn.Linear(2, 2)
        assert told(partial(mean_of_map, other=one)) != told(partial(mean_of_map, other=other))
        assert told(partial(mean_of_map, method=mean_of_map)) == told(partial(mean_of_map, method=mean_of_map))
        assert told(partial(integrated_gradients, steps=3)).endswith(
            "integrated_gradients.integrated_gradients(steps=3)"
        )


KILLED = """
import os, signal, sys
from pathlib import Path
import xnb
from xnb import checkpoints, data
from xnb.comparison import store, sweep

def dies_at_call(number, plain):
    count = 0
    def call(*given):
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*given)
    return call

if sys.argv[2] == "in a block":
    sweep.measure = dies_at_call(7 * 2 + 5, sweep.measure)
else:
    store.Store.write = dies_at_call(4, store.Store.write)
part = data.shapes(n=(0, 6), seed=3).test
xnb.compare(checkpoints.load("smallcnn-shapes"), part, {methods}, {metrics}, knobs={few}, batch=2, path=sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["in a block", "between its two files"])
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(moment, tmp_path):
    killed, whole = tmp_path / "killed.parquet", tmp_path / "whole.parquet"
    script = KILLED.replace("{methods}", repr(METHODS)).replace("{metrics}", repr(METRICS)).replace("{few}", repr(FEW))
    done = subprocess.run([sys.executable, "-c", script, killed, moment], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert set(parquet.read_table(killed)["image"].to_pylist()) == {0, 1}
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 6), seed=3).test
    ask = partial(xnb.compare, net, part, METHODS, METRICS, knobs=FEW, batch=2)
    resumed, uninterrupted = ask(path=killed), ask(path=whole)
    assert killed.read_bytes() == whole.read_bytes()
    assert resumed["seconds"].notna().all()
    assert len(resumed) == len(uninterrupted)
    assert not list(tmp_path.glob(".*.part"))
