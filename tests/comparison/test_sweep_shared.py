"""A comparison that is shared: among shards, and among workers of Dask; the bytes are those of one process.

Tests: xnb.comparison.blocks
"""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial

import pandas as pd
import pytest
from small_sweep import KNOBS, METHODS, METRICS

import xnb
from xnb import checkpoints, data
from xnb.comparison import store as store_module
from xnb.comparison.blocks import measure_block
from xnb.comparison.plan import make_plan
from xnb.scale.dask_tasks import start_workers
from xnb.scale.threads import use_threads

COUNT = 14  # pictures: seven blocks of two
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def net():
    return checkpoints.load("smallcnn-shapes")


@pytest.fixture(scope="module")
def part():
    return data.shapes(n=(0, COUNT), seed=3).test


@pytest.fixture
def ask(net, part):
    return partial(xnb.compare, net, part, METHODS, METRICS, knobs=KNOBS, batch=2)


@pytest.fixture(scope="module")
def one_process(net, part, tmp_path_factory):
    """The bytes of an undisturbed run on one thread, as each worker has."""
    path = tmp_path_factory.mktemp("whole") / "whole.parquet"
    with use_threads(1):
        xnb.compare(net, part, METHODS, METRICS, knobs=KNOBS, batch=2, path=path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def one_thread():
    with use_threads(1):
        yield


class TestShards:
    @pytest.mark.parametrize("count", [1, 3, 16])
    def test_in_any_order_they_make_the_same_file(self, count, ask, one_process, tmp_path):
        path = tmp_path / "t.parquet"
        numbers = list(range(1, count + 1))
        random.Random(count).shuffle(numbers)
        for number in numbers:
            ask(path=path, shard=(number, count))
        assert not path.exists()
        ask(path=path)
        assert path.read_bytes() == one_process
        assert not (tmp_path / "t.parts").exists()

    def test_a_shard_works_on_its_blocks_alone(self, ask, tmp_path):
        table = ask(path=tmp_path / "t.parquet", shard="2/3")
        assert list(table["image"].unique()) == [2, 3, 8, 9]

    def test_one_that_is_lost_is_made_up_for(self, ask, one_process, tmp_path):
        for number in (1, 3):
            ask(path=tmp_path / "t.parquet", shard=(number, 3))
        ask(path=tmp_path / "t.parquet")
        assert (tmp_path / "t.parquet").read_bytes() == one_process

    def test_one_that_runs_twice_at_once_counts_once(self, ask, one_process, tmp_path, monkeypatch):
        """Both look before either has written: each works on all of its blocks."""
        path = tmp_path / "t.parquet"
        plain = store_module.Store.has
        monkeypatch.setattr(store_module.Store, "has", lambda *given: False)
        ask(path=path, shard="1/2")
        ask(path=path, shard="1/2")
        monkeypatch.setattr(store_module.Store, "has", plain)
        ask(path=path, shard="2/2")
        assert len(list((tmp_path / "t.parts").glob("*.jsonl"))) == 3
        ask(path=path)
        assert path.read_bytes() == one_process

    def test_one_that_wrote_half_a_line_loses_that_line(self, ask, one_process, tmp_path):
        path = tmp_path / "t.parquet"
        ask(path=path, shard="1/2")
        ask(path=path, shard="2/2")
        (part, _) = (tmp_path / "t.parts").glob("*.jsonl")
        part.write_bytes(part.read_bytes()[:-30])
        ask(path=path)
        assert path.read_bytes() == one_process

    def test_without_a_file_they_cannot_meet(self, ask):
        with pytest.raises(ValueError, match="shards meet in one file") as error:
            ask(shard="1/2")
        assert 'try: path="comparison.parquet"' in str(error.value)

    def test_one_of_another_question_is_refused(self, ask, tmp_path):
        ask(path=tmp_path / "t.parquet", shard="1/2")
        with pytest.raises(ValueError, match=r"other settings: .*seed"):
            ask(path=tmp_path / "t.parquet", shard="2/2", seed=1)


DRIVER = """
import sys, torch
import xnb
from xnb import checkpoints, data
from xnb.scale.dask_tasks import start_workers
from xnb.scale.threads import use_threads

if __name__ == "__main__":
    net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, {count}), seed=3).test
    with start_workers(2) as client:
        xnb.compare(net, part, {methods}, {metrics}, knobs={knobs}, batch=2, path=sys.argv[1], client=client)
"""


@pytest.fixture(scope="module")
def client():
    with start_workers(2) as client:
        yield client


class TestWorkers:
    def test_the_file_is_that_of_one_process(self, ask, client, one_process, tmp_path):
        table = ask(path=tmp_path / "t.parquet", client=client)
        assert (tmp_path / "t.parquet").read_bytes() == one_process
        assert (table["seconds"] > 0).all()
        here = ask(client=client)
        pd.testing.assert_series_equal(here["value"], table["value"])

    def test_a_shard_may_have_workers_of_its_own(self, ask, client, one_process, tmp_path):
        ask(path=tmp_path / "t.parquet", client=client, shard="1/2")
        ask(path=tmp_path / "t.parquet")
        assert (tmp_path / "t.parquet").read_bytes() == one_process

    def test_functions_of_ones_own_and_streamed_data_go_there(self, net, part, client):
        def first(model, x, target):
            return x * 0 + 1

        items = list(zip(part.x, part.y, strict=True))
        ask = partial(xnb.compare, net, data.Streamed(items), {"own": first}, METRICS[:1], knobs={"srg": {"steps": 2}})
        pd.testing.assert_series_equal(ask(client=client)["value"], ask()["value"])

    def test_a_worker_that_is_killed_costs_its_block_alone(self, ask, client, one_process, tmp_path, monkeypatch):
        """After two cells have come back, a process is killed as no process can refuse."""
        pids = list(client.run(os.getpid).values())
        plain = store_module.Store.add
        cells = []

        def add(self, rows):
            cells.append(rows)
            if len(cells) == 2:
                os.kill(pids[0], signal.SIGKILL)
            plain(self, rows)

        monkeypatch.setattr(store_module.Store, "add", add)
        ask(path=tmp_path / "t.parquet", client=client)
        assert (tmp_path / "t.parquet").read_bytes() == one_process
        # nothing came back twice
        assert len(cells) == 7 * 8 * 2

    def test_when_the_driver_is_killed_the_same_call_goes_on(self, ask, one_process, tmp_path):
        script = tmp_path / "driver.py"
        script.write_text(DRIVER.format(count=COUNT, methods=METHODS, metrics=METRICS, knobs=KNOBS))
        path = tmp_path / "t.parquet"
        driver = subprocess.Popen([sys.executable, script, path], start_new_session=True)
        parts = tmp_path / "t.parts"
        while not any(part.read_text().count("\n") > 3 for part in parts.glob("*.jsonl")):
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        assert not path.exists()
        ask(path=path)
        assert path.read_bytes() == one_process


def test_a_block_alone_has_the_rows_of_the_whole(net, part):
    options = {"images": None, "target": None, "seed": 0, "knobs": KNOBS, "batch": 2}
    plan = make_plan([net], part, METHODS, METRICS, **options)
    block = plan.read_block(0, slice(4, 6))
    rows = [row for cell in measure_block(plan.functions, block, {"gradient": ["srg"]}) for row in cell]
    table = xnb.compare(net, part, METHODS, METRICS, knobs=KNOBS, batch=2).set_index(["method", "metric", "image"])
    assert [row["value"] for row in rows] == [table.loc[("gradient", "srg", image), "value"] for image in (4, 5)]
