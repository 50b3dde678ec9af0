"""One store by many: whoever is killed, and in whatever order they come, its files have the same bytes.

Tests: xnb.explanation.attribution_store, xnb.explanation.block_maps
"""

import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import killed_run
import numpy as np
import pytest
import zarr
from counted_methods import count_lines
from store_bytes import hash_store

import xnb
from xnb import checkpoints, data
from xnb.data import Streamed
from xnb.explanation.attribution_store import AttributionStore
from xnb.scale.dask_tasks import start_workers
from xnb.scale.threads import use_threads

COUNT = 14  # pictures: seven blocks of two
RISE = {"samples": 20, "cells": 3}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def one_thread():
    """As each worker has."""
    with use_threads(1):
        yield


@pytest.fixture(scope="module")
def net():
    return checkpoints.load("smallcnn-shapes")


@pytest.fixture(scope="module")
def part():
    return data.shapes(n=(0, COUNT), seed=3).test


@pytest.fixture
def ask(net, part):
    return partial(xnb.attribute_data, net, part, "rise", knobs=RISE, batch=2)


@pytest.fixture
def whole(ask, tmp_path):
    """Digits of the store of an undisturbed run, and its maps."""
    store = ask(tmp_path / "whole.zarr")
    return hash_store(tmp_path / "whole.zarr"), store["attribution"][:]


@pytest.mark.parametrize("count", [2, 3, 16])
def test_shards_in_any_order_make_the_same_store(count, ask, whole, tmp_path):
    """Each comes twice, as a job that is started anew."""
    numbers = [*range(1, count + 1)] * 2
    random.Random(count).shuffle(numbers)
    for number in numbers:
        ask(tmp_path / "m.zarr", shard=(number, count))
    assert hash_store(tmp_path / "m.zarr") == whole[0]


def test_a_shard_works_on_its_blocks_alone(ask, whole, tmp_path):
    store = ask(tmp_path / "m.zarr", shard="2/3")
    done = store["error"][:] == ""
    assert np.flatnonzero(done).tolist() == [2, 3, 8, 9]
    assert np.array_equal(store["attribution"][2:4], whole[1][2:4])
    assert np.isnan(store["attribution"][4:8]).all()
    ask(tmp_path / "m.zarr")
    assert hash_store(tmp_path / "m.zarr") == whole[0]


def test_two_runs_at_once_are_one(ask, whole, tmp_path, monkeypatch):
    """Both look before either has written: each works on all blocks."""
    monkeypatch.setattr(AttributionStore, "list_finished", lambda store: set())
    ask(tmp_path / "m.zarr")
    ask(tmp_path / "m.zarr")
    assert hash_store(tmp_path / "m.zarr") == whole[0]


def test_other_settings_are_refused_and_the_line_to_try_works(ask, net, part, tmp_path):
    path = tmp_path / "m.zarr"
    ask(path, shard="1/7")
    before = hash_store(path)
    others = {"batch": 4, "knobs": {**RISE, "samples": 40}, "target": 0, "dtype": "float16"}
    for name, value in others.items():
        word = {"knobs": "method"}.get(name, name)
        with pytest.raises(
            ValueError, match=rf"m.zarr was written with other settings: {word} .*\n.*\n  try: "
        ) as error:
            ask(path, **{name: value})
    with pytest.raises(ValueError, match="other settings: data "):
        xnb.attribute_data(net, part[:4], "rise", path, knobs=RISE, batch=2)
    with pytest.raises(ValueError, match="other settings: method "):
        xnb.attribute_data(net, part, "gradient", path, batch=2)
    assert hash_store(path) == before
    free = str(error.value).split("try: path=")[1].strip("'")
    assert ask(Path(free), dtype="float16")["attribution"].dtype == "float16"


@pytest.mark.parametrize("kind", ["file", "folder", "group"])
def test_what_is_no_such_store_is_left_alone(kind, ask, tmp_path):
    path = tmp_path / "m.zarr"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        (path / "pictures").mkdir(parents=True)
    else:
        zarr.create_group(path)
    with pytest.raises(ValueError, match=r"attribute_data: .*m.zarr|attribute_data: path must be free"):
        ask(path)


def test_workers_make_the_store_of_one_process(net, part, ask, whole, tmp_path):
    """Of streamed data as well, and each its share."""
    with start_workers(2) as client:
        ask(tmp_path / "m.zarr", client=client)
        assert hash_store(tmp_path / "m.zarr") == whole[0]
        ask(tmp_path / "s.zarr", client=client, shard="1/2")
        ask(tmp_path / "s.zarr", client=client, shard="2/2")
        assert hash_store(tmp_path / "s.zarr") == whole[0]
        streamed = Streamed(list(zip(part.x, part.y, strict=True)))
        there = xnb.attribute_data(net, streamed, "rise", tmp_path / "t.zarr", knobs=RISE, batch=2, client=client)
        assert np.array_equal(there["attribution"][:], whole[1])


# Where it dies: at a line of the log, or a file; lines before, and inputs whose block was finished. The first line is
# of the trial; five files make the store, then four a block.
DEATHS = {
    "in the method": (6, 0, 5, 4),
    "as it begins": (0, 3, 1, 0),
    "within a block": (0, 11, 5, 2),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_killed_run_goes_on_and_runs_nothing_twice(death, tmp_path):
    """Of the block that was worked on, the inputs are run again; of the others none."""
    path, log = tmp_path / "killed", tmp_path / "log"
    dies_at, dies_writing, lines, finished = DEATHS[death]
    call = [sys.executable, killed_run.__file__, path, log, str(dies_at), str(dies_writing)]
    assert subprocess.run(call, check=False).returncode == -signal.SIGKILL
    assert count_lines(log) == lines
    killed_run.run(path, log)
    assert count_lines(log) - lines == 1 + killed_run.COUNT - finished
    killed_run.run(tmp_path / "whole", tmp_path / "other")
    assert hash_store(path) == hash_store(tmp_path / "whole")
    # nothing is left to do
    killed_run.run(path, log)
    assert count_lines(log) - lines == 1 + killed_run.COUNT - finished
