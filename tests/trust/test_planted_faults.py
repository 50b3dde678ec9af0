"""Faults that are planted in the package are noticed by the tests that ought to, which pass without them.

Two of them each day, by turns; with XNB_TRUST=1 all.
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted_faults import FAULTS
from planting import read_source

HERE = Path(__file__).parent
A_DAY = 2


def choose_faults(day):
    """Those of a day: after as many days as it takes, each has had its turn."""
    first = day * A_DAY % len(FAULTS)
    return [FAULTS[(first + k) % len(FAULTS)] for k in range(A_DAY)]


TRIED = FAULTS if "XNB_TRUST" in os.environ else choose_faults(datetime.date.today().toordinal())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_what_is_replaced_stands_there_once(fault):
    assert read_source(fault.module).count(fault.old) == 1
    assert fault.old != fault.new


def test_there_are_twenty_and_each_has_its_turn():
    assert len({fault.kind for fault in FAULTS}) == len(FAULTS) >= 20
    turns = {fault.kind for day in range(-(-len(FAULTS) // A_DAY)) for fault in choose_faults(day)}
    assert len(turns) == len(FAULTS)


@pytest.fixture(scope="module")
def answers():
    """What the tests said, in one process for all faults: they are planted in forks of it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "XNB_TRUST"))}
    command = [sys.executable, HERE / "planted_trial.py", *(fault.kind for fault in TRIED)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {row["kind"]: row for row in rows}


@pytest.mark.parametrize("fault", TRIED, ids=lambda fault: fault.kind)
def test_a_planted_fault_is_noticed(fault, answers, tally):
    answer = answers[fault.kind]
    assert answer["without"] is None
    assert answer["with"], f"no test of {fault.tests} notices: {fault.new}"
    assert answer["with"].startswith(fault.tests)
    tally("planted faults noticed")
