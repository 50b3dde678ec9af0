"""Error of kernel_shap beside shapiq's regressions at equal samples: `python -m benchmarks.relatives`.

shapiq needs Python 3.12, where `make PYTHON=python3.12` installs it; elsewhere this says so. What was found stands in
`relatives.json`, with the versions, and in the README beside it.
"""

import argparse
import importlib
import importlib.util
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import xnb
from benchmarks.accuracy import error, ours
from benchmarks.workloads import Workload, load
from xnb.check import is_refusal, require
from xnb.folders import replace_file

FOLDER = Path(__file__).parent
SAMPLES = (50, 100, 200, 500)  # of the 1,024 coalitions of ten features
EQUAL = 100  # samples of ours, whose error the others are to reach
RELATIVES = {
    "KernelSHAP": {},
    "KernelSHAP, paired": {"pairing_trick": True},
    "UnbiasedKernelSHAP, paired": {"pairing_trick": True},
    "LeverageSHAP": {},
    "PolySHAP, paired, third order": {"pairing_trick": True, "max_order": 3},  # the second is KernelSHAP, paired
    "RegressionMSR": {"index": "SV"},
    "PermutationSamplingSV": {},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 for the shell, 1 after a refusal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relatives", description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="two budgets, to try the program itself")
    parser.add_argument("--output", type=Path, default=FOLDER / "relatives.json")
    given = parser.parse_args(arguments)
    try:
        found = compare_relatives(SAMPLES[:2] if given.tiny else SAMPLES, rows=2 if given.tiny else 16)
    except ValueError as refusal:
        if not is_refusal(refusal):
            raise
        sys.stderr.write(f"{refusal}\n")
        return 1
    with replace_file(given.output) as draft:
        draft.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(table(found) + "\n")
    return 0


def compare_relatives(samples: Sequence[int], rows: int) -> dict[str, object]:
    """Relative root mean square errors to exact Shapley values by estimator and samples, mean over three seeds."""
    there = importlib.util.find_spec("shapiq") is not None
    got = f"none on Python {platform.python_version()}"
    require(there, "relatives: shapiq must be installed", got, "make bench-relatives PYTHON=python3.12")
    w = load("mlp", rows)
    exact = xnb.attribute(w.model, w.x, w.target, "exact_shapley").double()
    errors = {"xnb kernel_shap": [error(exact, lambda seed, n=n: ours(w, n, seed)) for n in samples]}
    for name in tqdm(RELATIVES):
        errors[name] = [error(exact, lambda seed, n=n, name=name: theirs(w, name, n, seed)) for n in samples]
    versions = {name: version(name) for name in ("xnb", "torch", "numpy", "shapiq")}
    about = {"python": platform.python_version(), "versions": versions, "rows": rows, "samples": list(samples)}
    return {**about, "errors": errors, "samples at equal error": reach(samples, errors)}


def reach(samples: Sequence[int], errors: dict[str, list[float]]) -> dict[str, float | None]:
    """Samples at which each has the error of ours with `EQUAL`, between two budgets on logarithmic scales."""
    goal = errors["xnb kernel_shap"][list(samples).index(EQUAL)]
    found = {}
    for name, fallen in errors.items():
        between = fallen[0] >= goal >= fallen[-1]
        falling = np.log(fallen[::-1]), np.log(samples[::-1])
        found[name] = float(np.exp(np.interp(np.log(goal), *falling))) if between else None
    return found


def theirs(w: Workload, name: str, samples: int, seed: int) -> Tensor:
    """One of shapiq's estimators, row by row, as its games are of one input; features that are away are zero."""
    shapiq = importlib.import_module("shapiq")
    kind = getattr(shapiq, name.split(",")[0])
    values = []
    for row, target in zip(w.x, w.target, strict=True):
        played = kind(len(row), random_state=seed, **RELATIVES[name]).approximate(samples, make_game(w, row, target))
        values.append(torch.from_numpy(played.get_n_order_values(1)))
    return torch.stack(values)


def make_game(w: Workload, row: Tensor, target: Tensor) -> object:
    """Coalitions to scores of the target, as shapiq plays them; the empty one is taken off, as it expects."""
    with torch.no_grad():
        empty = float(w.model(torch.zeros_like(row)[None])[0, target])

    def play(coalitions: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            together = torch.from_numpy(np.atleast_2d(coalitions)).to(row)  # one coalition may come alone
            return w.model(row * together)[:, target].double().numpy() - empty

    return play


def table(found: dict[str, object]) -> str:
    """The errors as the README shows them."""
    budgets = " | ".join(f"{n} samples" for n in found["samples"])
    lines = [f"| estimator | {budgets} | samples for the error of ours at {EQUAL} |"]
    lines.append("|---" * (2 + len(found["samples"])) + "|")
    for name, errors in found["errors"].items():
        needed = found["samples at equal error"][name]
        said = f"{needed:.0f}" if needed else f"more than {found['samples'][-1]}"
        lines.append(f"| {name} | " + " | ".join(f"{value:.2g}" for value in errors) + f" | {said} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
