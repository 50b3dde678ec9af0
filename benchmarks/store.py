"""`results.json`: what was measured, with what, and how to read it. Written after every row."""

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from xnb.folders import replace_file, take_turns
from xnb.training.machine import name_processor

LIBRARIES = "xnb torch torchvision numpy scikit-learn captum zennit grad-cam torchcam shap quantus".split()
ABOUT = {
    "seconds": "of each call, by variant and round; all variants of a row run in turn within a round, forwards in one "
    "round and backwards in the next, after one warm-up; short calls are repeated and the mean is taken",
    "ratios": "median seconds of ours by median seconds of theirs; low and high are the quartiles of the ratios within "
    "each round. plain: ours on the user's model; prepared: on xnb.prepare(model). default: theirs as called without "
    "settings; best: the fastest of the settings tried, chosen in hindsight",
    "limit": "the same number of forward and backward passes through the prepared model, in batches of 16 at 32 x 32, "
    "4 at 224 x 224 and 1024 rows of a table, and nothing else",
    "peak_mib": "high-water mark of the resident memory during one call of its own, above what was resident before it; "
    "free memory is given back to the system first; good to some MiB. CUDA: torch's own count of allocations",
    "memory": "peak_mib of ours prepared by that of their default",
    "difference": "max|ours - theirs| / max|theirs|, theirs at default settings; sampling methods draw differently",
    "error": "the same against the referee, the computation in double precision on the user's model; of sampling "
    "methods root mean square, against a run of ours with many times the samples and another seed, of the first input",
    "milliseconds": "from a key press to the frame with the new map, on the clock of a page in JupyterLab in Chromium",
    "equal": "difference within the tolerance of the row; of sampling methods, our error at most twice theirs",
}


@dataclass
class Results:
    """The runs in a results file: by device and allocator, each with its conditions and rows."""

    path: Path
    run: str
    conditions: Mapping[str, object]
    rows: dict[str, dict] = field(default_factory=dict)
    suite: Mapping[str, float] = field(default_factory=dict)

    def resume(self) -> bool:
        """Take over the rows of an earlier run; False if its conditions were others."""
        earlier = read(self.path).get(self.run)
        if earlier is None:
            return True
        self.rows, self.suite = earlier["rows"], earlier["suite"]
        return same(earlier["conditions"], self.conditions)

    def write(self) -> None:
        """Replace the file at once, so that a killed run leaves the one before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mine = {"conditions": self.conditions, "suite": self.suite, "rows": self.rows}
        with take_turns(self.path.parent):  # another process may be timing on another device
            runs = {**read(self.path), self.run: mine}
            text = json.dumps(strict({"how to read": ABOUT, "runs": runs}), indent=1, allow_nan=False)
            with replace_file(self.path) as draft:
                draft.write_text(text + "\n")


def strict(value: object) -> object:
    """As JSON can hold it: what is not known, NaN, becomes null."""
    if isinstance(value, Mapping):
        return {name: strict(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [strict(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(path: Path) -> dict[str, dict]:
    """The runs of a results file; none if there is no such file."""
    return json.loads(path.read_text())["runs"] if path.exists() else {}


def same(earlier: Mapping[str, object], now: Mapping[str, object]) -> bool:
    """Whether rows of two runs may stand in one table: all is equal but the date, and libraries that came later."""
    return without(earlier, {}) == without(now, earlier)


def without(conditions: Mapping[str, object], earlier: Mapping[str, object]) -> dict[str, object]:
    versions = conditions.get("versions", {})
    known = earlier.get("versions", versions)
    return {**conditions, "date": None, "versions": {name: v for name, v in versions.items() if name in known}}


def conditions(device: str, threads: int, clock: str, rounds: int, tuned: bool, tiny: bool) -> dict[str, object]:
    """What a time depends on. Nothing in it names the machine or its user."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": name_processor(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if device == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": threads,
        "clock": clock,
        "rounds": rounds,
        "malloc": "tuned" if tuned else "default",
        "size": "tiny" if tiny else "full",
        "versions": {name: version(name) for name in LIBRARIES},
    }
