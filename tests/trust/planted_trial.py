"""Plant faults by their kinds, each in a fork, and print which test noticed: python planted_trial.py KIND ...

A line of JSON for each: the kind, what fails without the fault, and what fails with it.
"""

import json
import sys
import tempfile
from pathlib import Path

from planted_faults import FAULTS, Fault
from planting import ROOT, Forks, collect, plant, read_source


def plant_fault(fault: Fault) -> None:
    planted = plant(fault.module, read_source(fault.module).replace(fault.old, fault.new))
    assert planted, f"{fault.module} has no function that is loaded"


def try_faults(faults: list[Fault], forks: Forks) -> None:
    untouched: dict[tuple[str, str], str | None] = {}
    for fault in faults:
        own = fault.tests, fault.only
        tests = {ROOT / fault.tests: [fault.only]}
        if own not in untouched:
            untouched[own] = forks.run(tests).failed
        outcome = forks.run(tests, lambda fault=fault: plant_fault(fault))
        print(json.dumps({"kind": fault.kind, "without": untouched[own], "with": outcome.failed}), flush=True)


def main() -> None:
    faults = [fault for fault in FAULTS if fault.kind in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        files = dict.fromkeys(ROOT / fault.tests for fault in faults)
        collect(files, lambda forks: try_faults(faults, forks), Path(folder) / "temporary")


if __name__ == "__main__":
    main()
