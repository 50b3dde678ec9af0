"""A comparison over two hosts, of which one is lost: hosts are network namespaces, and processes are killed for real.

Tests: xnb.scale.dask_tasks
"""

import os
import subprocess
import sys
import time

import pytest
from hosts import kill_host, make_two_hosts

from xnb.__main__ import main

STUDY = """
from xnb import checkpoints, data

def arguments():
    part = data.shapes(n=(0, 40), seed=3).test
    return {"model": checkpoints.load("smallcnn-shapes"), "data": part, "methods": ["gradient", "occlusion"],
            "metrics": ["srg"], "batch": 2}
"""
PATIENCE = 240  # seconds for processes to start and to end
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif("XNB_TRUST" not in os.environ, reason="takes a minute: XNB_TRUST=1 runs it"),
]


@pytest.fixture
def two_hosts():
    with make_two_hosts() as hosts:
        yield hosts


@pytest.fixture
def start(two_hosts):
    """Start Python in a host, with one thread for what it computes; all of it ends with the test."""
    started = []

    def start_in(host, *words, **options):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = ["ip", "netns", "exec", host, sys.executable, "-m", *words]
        started.append(subprocess.Popen(command, env=environment, **options))
        return started[-1]

    yield start_in
    for host in two_hosts:
        kill_host(host)
    for process in started:
        process.wait(PATIENCE)


def test_a_host_goes_on_when_the_other_is_gone(two_hosts, start, tmp_path):
    """Scheduler, a worker and the driver run on the first host, two workers on the second, which ends in the middle."""
    study = tmp_path / "study.py"
    study.write_text(STUDY)
    path = tmp_path / "t.parquet"
    (first, address), (second, _) = two_hosts.items()
    scheduler = f"tcp://{address}:8786"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    start(first, "dask", "scheduler", "--host", address, "--port", "8786", "--no-dashboard", **quiet)
    for host in (first, second, second):
        start(host, "dask", "worker", scheduler, "--nthreads", "1", "--no-dashboard", **quiet)
    command = ("xnb", "compare", f"{study}:arguments", "--path", str(path), "--scheduler", scheduler)
    driver = start(first, *command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + PATIENCE
    while not any(part.read_text().count("\n") > 20 for part in (tmp_path / "t.parts").glob("*.jsonl")):
        assert time.monotonic() < end
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.02)
    kill_host(second)
    assert driver.wait(PATIENCE) == 0, driver.stderr.read()
    driver.stderr.close()
    alone = tmp_path / "alone.parquet"
    main(["compare", f"{study}:arguments", "--path", str(alone), "--workers", "1"])
    assert path.read_bytes() == alone.read_bytes()
