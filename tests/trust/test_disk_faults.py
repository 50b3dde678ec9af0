"""Every writer, and a disk that fails at every step: what was there is whole, the error clear, the next run right.

A few steps of each always; with XNB_TRUST=1 all of them, and every way in which a disk, or memory, can end.
"""

import os

import pytest

NAMES = (
    *("weights", "manifest of weights", "training", "comparison", "comparison of shards", "attributions", "figure"),
    *("download", "cache of pictures", "executed notebook", "reproduced table", "reproduced blocks", "benchmark"),
)
MODES = ("once", "full", "short", "kill", "limit", "two", "full disk", "read-only")
COUNTED = {"kill": "processes killed by SIGKILL", "two": "pairs of runs at once"}
thorough = pytest.mark.skipif("XNB_TRUST" not in os.environ, reason="takes minutes: XNB_TRUST=1 runs it")


def survive(disk, name, mode, most, tally, request):
    if mode in ("full disk", "read-only") and not disk.is_mounted:
        pytest.skip("a file system in memory can be mounted by root alone")
    answer = disk.ask(name, mode, most)
    assert answer["complaints"] == []
    assert answer["faults"] > 0
    assert answer["kills"] == (answer["faults"] if mode == "kill" else 0)
    tally(COUNTED.get(mode, "faults of disk and memory"), answer["faults"])
    request.node.user_properties.append(("writer", name))


@pytest.mark.parametrize("mode", ["once", "kill"])
@pytest.mark.parametrize("name", NAMES)
def test_some_steps(disk, name, mode, tally, request):
    survive(disk, name, mode, 2, tally, request)


@thorough
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_every_step(disk, name, mode, tally, request):
    survive(disk, name, mode, None, tally, request)


@pytest.mark.parametrize("name", ["training", "comparison", "attributions"])
def test_memory_ends_in_each_call_of_the_model(disk, name, tally, request):
    survive(disk, name, "memory", None, tally, request)
