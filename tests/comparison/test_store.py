"""The file of a comparison, and what becomes of a run that is killed.

Tests: xnb.comparison.tables
"""

import random
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
from xnb.comparison import blocks, cells
from xnb.comparison import store as store_module
from xnb.comparison.store import Store
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
    monkeypatch.setattr(cells, "try_call", lambda call: pytest.fail("run again"))
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
    assert (again.loc["broken", "error"] == "RuntimeError: out of paint\nand more").all()
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
from xnb.comparison import blocks, store

def dies_at_call(number, plain):
    count = 0
    def call(*given):
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*given)
    return call

def half_a_line(path, content):
    with path.open("a") as file:
        file.write(store.json.dumps(content)[:40])
    os.kill(os.getpid(), signal.SIGKILL)

class HalfAtLast:
    count = 0
    def __call__(self, path, content):
        self.count += 1
        return half_a_line(path, content) if self.count == 20 else plain_line(path, content)

plain_line = store._append_line
moment = sys.argv[2]
if moment == "in a cell":
    blocks.measure_pieces = dies_at_call(19, blocks.measure_pieces)
elif moment == "in a line":
    store._append_line = HalfAtLast()
elif moment == "before its first cell":
    store._append_line = half_a_line
elif moment == "between its two files":
    Path.replace = dies_at_call(2, Path.replace)
else:
    store._remove_parts = dies_at_call(1, store._remove_parts)
part = data.shapes(n=(0, 6), seed=3).test
xnb.compare(checkpoints.load("smallcnn-shapes"), part, {methods}, {metrics}, knobs={knobs}, batch=2, path=sys.argv[1])
"""
CELLS = 3 * 8 * 2  # blocks, methods by both signs and controls, metrics
MOMENTS = {  # cells that are finished then
    "before its first cell": 0,
    "in a cell": 18,
    "in a line": 18,  # after the settings in the first line
    "between its two files": CELLS,
    "before the parts are removed": CELLS,
}


def count_cells(folder):
    """Whole lines of all parts, without the settings in each part's first."""
    return sum(max(0, part.read_text().count("\n") - 1) for part in folder.glob("*.jsonl"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_loses_one_cell_at_most_and_ends_with_the_same_bytes(moment, tmp_path, monkeypatch):
    killed, whole = tmp_path / "killed.parquet", tmp_path / "whole.parquet"
    script = KILLED.replace("{methods}", repr(METHODS)).replace("{metrics}", repr(METRICS))
    script = script.replace("{knobs}", repr(KNOBS))
    done = subprocess.run([sys.executable, "-c", script, killed, moment], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert count_cells(tmp_path / "killed.parts") == MOMENTS[moment]
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 6), seed=3).test
    ask = partial(xnb.compare, net, part, METHODS, METRICS, knobs=KNOBS, batch=2)
    measured = []
    plain = blocks.measure_pieces
    monkeypatch.setattr(blocks, "measure_pieces", lambda *given: measured.append(1) or plain(*given))
    resumed = ask(path=killed)
    assert len(measured) == CELLS - MOMENTS[moment]
    uninterrupted = ask(path=whole)
    assert killed.read_bytes() == whole.read_bytes()
    assert resumed["seconds"].notna().all()
    assert len(resumed) == len(uninterrupted)
    left = [path for path in tmp_path.iterdir() if path.suffix != ".parquet"]
    # a draft that was being written: a later write removes it when it is a day old
    assert len(left) == (moment == "between its two files")
    assert len(list(tmp_path.glob("[!.]*.parquet"))) == 4


def fill(store, order):
    """Cells of two blocks of two images and two methods by one metric, in that order; a value names its place."""
    for model, method, first in order:
        images = SETTINGS["images"][first : first + 2]
        value = {"seconds": 1.0, "method_seconds": 1.0, "forward": 1.0, "backward": 0.0, "error": None}
        key = {"model": model, "method": method, "sign": "signed", "metric": "m"}
        store.add([{**key, "image": image, "value": image / 7, **value} for image in images])


SETTINGS = {"models": ["", ""], "images": [9, 4, 7, 1], "batch": 2, "methods": {"b": "", "a": ""}, "metrics": {"m": ""}}
PLANNED = [(model, method, first) for model in (0, 1) for first in (0, 2) for method in ("b", "a")]


@pytest.mark.parametrize("seed", range(3))
def test_the_bytes_do_not_depend_on_the_order_of_cells_or_on_who_made_them(seed, tmp_path):
    """Several runs may share the work, and make a cell twice: one row an image stays, in the order of the plan."""
    planned = Store(tmp_path / "planned.parquet", SETTINGS)
    fill(planned, PLANNED)
    planned.finish()
    expected = planned.table()
    assert list(zip(expected["model"], expected["method"], expected["image"], strict=True))[:5] == [
        (0, "b", 9),
        (0, "b", 4),
        (0, "a", 9),
        (0, "a", 4),
        (0, "b", 7),
    ]
    shuffled = list(PLANNED)
    random.Random(seed).shuffle(shuffled)
    path = tmp_path / "shared.parquet"
    first, second = Store(path, SETTINGS), Store(path, SETTINGS)
    fill(first, shuffled[:5])
    fill(second, shuffled[4:])
    pd.testing.assert_frame_equal(Store(path, SETTINGS).table(), expected)
    Store(path, SETTINGS).finish()
    pd.testing.assert_frame_equal(Store(path, SETTINGS).table(), expected)
    assert path.read_bytes() == (tmp_path / "planned.parquet").read_bytes()


def test_many_cells_are_written_and_read_in_linear_time(tmp_path, monkeypatch):
    """Adding a cell writes that cell alone: 300 cells make 300 lines and the settings, whatever came before."""
    written = []
    plain = store_module._append_line
    monkeypatch.setattr(store_module, "_append_line", lambda path, content: written.append(1) or plain(path, content))
    settings = {**SETTINGS, "images": list(range(600))}
    store = Store(tmp_path / "t.parquet", settings)
    for first in range(0, 600, 2):
        key = {"model": 0, "method": "a", "sign": "signed", "metric": "m", "error": None}
        costs = {"seconds": 1.0, "method_seconds": 1.0, "forward": 0.0, "backward": 0.0}
        store.add([{**key, **costs, "image": first + i, "value": 0.0} for i in (0, 1)])
    assert len(written) == 301
    assert not (tmp_path / "t.parquet").exists()
    assert Store(tmp_path / "t.parquet", settings).has(0, "a", "m", [598, 599])
    assert not store.has(0, "b", "m", [0])


def test_parts_of_other_settings_are_refused_by_name(tmp_path):
    fill(Store(tmp_path / "t.parquet", SETTINGS), PLANNED[:1])
    with pytest.raises(ValueError, match=r"written with other settings: batch .*\n.*\n  try: path='.*t-2.parquet'"):
        Store(tmp_path / "t.parquet", {**SETTINGS, "batch": 4})
