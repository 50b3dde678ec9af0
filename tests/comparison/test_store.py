"""The file of a comparison, and what becomes of a run that is killed."""

import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet
from small_sweep import KNOBS, METHODS, METRICS, broken, mean_of_map

import xnb
from xnb import checkpoints, data
from xnb.comparison import sweep
from xnb.data import Part


def test_values_do_not_depend_on_the_clock_and_seconds_lie_beside(call, tmp_path):
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


def test_what_is_finished_is_not_run_again(call, tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    first = call(path=path)
    before = path.read_bytes()
    monkeypatch.setattr(sweep, "try_call", lambda call: pytest.fail("run again"))
    pd.testing.assert_frame_equal(call(path=path), first)
    assert path.read_bytes() == before


def test_without_its_ledger_seconds_are_not_known(call, tmp_path):
    path = tmp_path / "t.parquet"
    first = call(path=path)
    (tmp_path / "t.seconds.parquet").unlink()
    again = call(path=path)
    assert again[["seconds", "method_seconds"]].isna().all(axis=None)
    np.testing.assert_array_equal(first["value"], again["value"])


def test_errors_and_nan_survive(model, part, tmp_path):
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
        ("metrics", {"knobs": KNOBS | {"srg": {"steps": 4}}}),
        ("methods", {"methods": ["occlusion", "gradient"]}),
        ("images", {"images": [0, 1]}),
        ("target", {"target": torch.zeros(5, dtype=torch.long)}),
        ("batch", {"batch": 3}),
    ],
)
def test_other_settings_are_refused_by_name(setting, change, model, part, tmp_path):
    ask = {"methods": METHODS, "metrics": METRICS, "knobs": KNOBS, "batch": 2, "path": tmp_path / "t.parquet"}
    xnb.compare(model, part, **ask)
    before = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(ValueError, match=f"written with other settings: .*{setting}.*\n.*\n.*t-2.parquet"):
        xnb.compare(model, part, **ask | change)
    assert (tmp_path / "t.parquet").read_bytes() == before


def test_another_model_and_other_data_are_refused(call, model, part, tmp_path):
    call(path=tmp_path / "t.parquet")
    ask = partial(xnb.compare, methods=METHODS, metrics=METRICS, knobs=KNOBS, batch=2, path=tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="other settings: data "):
        ask(model, Part(part.x + 1e-9, part.y, part.masks))
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1e-9
    with pytest.raises(ValueError, match="other settings: models "):
        ask(model, part)


def test_a_file_of_something_else_is_refused(call, tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="other settings"):
        call(path=tmp_path / "t.parquet")


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
xnb.compare(checkpoints.load("smallcnn-shapes"), part, {methods}, {metrics}, knobs={knobs}, batch=2, path=sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["in a block", "between its two files"])
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(moment, tmp_path):
    killed, whole = tmp_path / "killed.parquet", tmp_path / "whole.parquet"
    script = KILLED.replace("{methods}", repr(METHODS)).replace("{metrics}", repr(METRICS))
    script = script.replace("{knobs}", repr(KNOBS))
    done = subprocess.run([sys.executable, "-c", script, killed, moment], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert set(parquet.read_table(killed)["image"].to_pylist()) == {0, 1}
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 6), seed=3).test
    ask = partial(xnb.compare, net, part, METHODS, METRICS, knobs=KNOBS, batch=2)
    resumed, uninterrupted = ask(path=killed), ask(path=whole)
    assert killed.read_bytes() == whole.read_bytes()
    assert resumed["seconds"].notna().all()
    assert len(resumed) == len(uninterrupted)
    assert not list(tmp_path.glob(".*.part"))
