"""Comparisons past one process: `python -m benchmarks.scaling` measures shards, workers, memory and costs.

Every run has a process of its own. What is compared is run in turn, and the whole of it on an idle machine: the stored
numbers, in `scaling.json`, are ratios of runs that stood beside each other. Notebook 24 shows them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import time
from typing import Any

from tqdm import tqdm

from benchmarks import crops
from benchmarks.clock import order
from xnb.folders import ROOT, replace_file
from xnb.scale.dask_tasks import WORKER_ENVIRONMENT
from xnb.training.machine import name_processor

STORED = Path(__file__).parent / "scaling.json"
ROUNDS = 3
PICTURES = 2000
CROPS = 1000
STREAMED = (500, 1000, 10_000, 50_000)
COSTED = {"pixels, four metrics": 240, "sampling": 48, "stability": 120}
METHODS = (
    "gradient",
    "gradient_times_input",
    "integrated_gradients",
    "smoothgrad",
    "lrp",
    "deep_lift",
    "grad_cam",
    "occlusion",
    "rise",
    "kernel_shap",
)
QUIET = {"XNB_PATIENCE": "inf"}
# Waiting threads of OpenMP spin, and take the core that another process needs. Where there is one process alone they
# may: asleep, two threads of small pictures are no faster than one.
SHARING = {"OMP_WAIT_POLICY": "passive"}
ALLOCATOR = {name: WORKER_ENVIRONMENT[name] for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, part by part; each is stored when it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="those that are missing if there are none: " + ", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="few pictures and one round, to try the program itself")
    parser.add_argument("--output", type=Path, default=STORED)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.parts) - PARTS.keys())
    if unknown:
        parser.error(f"no part {', '.join(unknown)}: choose among {', '.join(PARTS)}")
    share = 0.02 if options.quick else 1.0
    for name in options.parts or list_missing(options.output, share):
        part = PARTS[name](share)
        stored = read_stored(options.output)
        about = {**stored.get("about", {}), name: {**describe_machine(), "share": share}}
        with replace_file(options.output) as draft:
            draft.write_text(json.dumps({**stored, "about": about, name: part}, indent=1) + "\n")
        sys.stdout.write(f"{name}: stored in {options.output.name}\n")


def read_stored(path: Path) -> dict[str, Any]:
    """Return what was measured before, nothing where nothing was."""
    return json.loads(path.read_text()) if path.exists() else {}


def list_missing(path: Path, share: float) -> list[str]:
    """Return the parts that were not measured, or in small, or on another machine, or with other versions."""
    about = read_stored(path).get("about", {})
    here = {**describe_machine(), "share": share}
    return [name for name in PARTS if {**about.get(name, {}), "date": here["date"]} != here]


def describe_machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    names = ("torch", "distributed", "zarr", "captum", "quantus")
    versions = {name: version(name) for name in names}
    date = datetime.now(UTC).date().isoformat()
    return {"date": date, "processor": name_processor(), "cores": os.cpu_count(), "versions": versions}


def ask(question: Mapping[str, object], allocator: bool = False) -> dict:
    """Run one question in a process of its own, and return its answer.

    Args:
        allocator: whether it keeps the memory of large tensors, as workers do.
    """
    command = [sys.executable, "-m", "benchmarks.scaling_child", json.dumps({**question, "asked": time()})]
    alone = question.get("threads", 1) > 1
    environment = os.environ | QUIET | ({} if alone else SHARING) | (ALLOCATOR if allocator else {})
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_sweep(share: float) -> dict[str, dict]:
    """Run the same comparison by processes of one thread: one of them, one worker and two, and two shards.

    Args:
        share: of the pictures; of fewer than all there is one round.
    """
    return _run_in_turn(
        share,
        {
            "one process, 1 thread": lambda folder, pictures: _run_alone(folder, pictures, threads=1),
            "two workers": lambda folder, pictures: _run_workers(folder, pictures, 2),
            "one worker": lambda folder, pictures: _run_workers(folder, pictures, 1),
            "two shards": lambda folder, pictures: _run_shards(folder, pictures),
            "two shards of twice as many": lambda folder, pictures: _run_shards(folder, 2 * pictures),
        },
    )


def measure_threads(share: float) -> dict[str, dict]:
    """Run the same comparison with both cores: by two threads, by two processes, and its like by other libraries."""
    return _run_in_turn(
        share,
        {
            "one process, 2 threads": lambda folder, pictures: _run_alone(folder, pictures, threads=2),
            "two workers": lambda folder, pictures: _run_workers(folder, pictures, 2),
            "two shards": lambda folder, pictures: _run_shards(folder, pictures),
            "Captum and Quantus, 2 threads": lambda _, pictures: ask(
                {"run": "peers", "pictures": pictures, "threads": 2}
            ),
        },
    )


def _run_in_turn(share: float, ways: Mapping[str, Callable[[str, int], dict]]) -> dict[str, dict]:
    """Run each way in every round, in another order each time."""
    pictures = max(100, int(PICTURES * share))
    rounds = ROUNDS if share == 1 else 1
    runs: dict[str, list[dict]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in tqdm(order(ways, number), desc=f"round {number + 1}"):
            with tempfile.TemporaryDirectory() as folder:
                runs[name].append(ways[name](folder, pictures))
    return {name: _summarise(results, pictures) for name, results in runs.items()}


def _summarise(results: Sequence[Mapping], pictures: int) -> dict[str, object]:
    """Return each round, medians, and the one hash that all files have."""
    seconds = [result["seconds"] for result in results]
    hashes = sorted({result.get("sha256", "") for result in results})
    started = median(result["started"] for result in results)
    return {"pictures": pictures, "seconds": seconds, "median": median(seconds), "started": started, "sha256": hashes}


def _run_alone(folder: str, pictures: int, threads: int) -> dict:
    question = {"run": "sweep", "name": "t", "folder": folder, "pictures": pictures, "threads": threads}
    return ask(question, allocator=True)


def _run_workers(folder: str, pictures: int, workers: int) -> dict:
    question = {"run": "sweep", "name": "t", "folder": folder, "pictures": pictures, "workers": workers}
    return ask(question, allocator=True)


def _run_shards(folder: str, pictures: int) -> dict:
    """Run two shards at once, and then make one file of both; the later one counts."""
    question = {"run": "sweep", "name": "t", "folder": folder, "pictures": pictures}
    with ThreadPoolExecutor() as both:
        shards = list(both.map(lambda shard: ask({**question, "shard": shard}, allocator=True), ("1/2", "2/2")))
    gathered = ask(question, allocator=True)
    later = max(shards, key=lambda shard: shard["seconds"])
    return {**later, "seconds": later["seconds"] + gathered["seconds"], "sha256": gathered["sha256"]}


def measure_streamed(share: float) -> list[dict]:
    """Return what streamed pictures take, for several numbers of them."""
    return [measure_memory(max(100, int(count * share))) for count in STREAMED]


def measure_memory(pictures: int) -> dict[str, object]:
    """Return what streamed pictures take by their number: of a comparison, and of maps on disk."""
    found: dict[str, object] = {"pictures": pictures}
    for run in ("streamed", "attributions"):
        with tempfile.TemporaryDirectory() as folder:
            found[run] = ask({"run": run, "folder": folder, "pictures": pictures}, allocator=True)
    return found


def measure_costs(share: float) -> list[dict]:
    """Return what comparisons were to cost, and what they did."""
    return [measure_cost(name, max(8, int(count * share))) for name, count in COSTED.items()]


def measure_cost(workload: str, pictures: int) -> dict[str, object]:
    """Return what a comparison was to cost, and what it did."""
    question = {"run": "cost", "workload": workload, "pictures": pictures}
    found = ask(question, allocator=True)
    ratio = found["predicted"] / found["seconds"]
    return {"workload": workload, "pictures": pictures, **found, "ratio": ratio}


def measure_thousand(share: float) -> dict[str, float]:
    """Return the seconds of a thousand explanations by each method, of small pictures."""
    return ask({"run": "methods", "pictures": max(8, int(64 * share)), "methods": METHODS})["thousand"]


def measure_photograph(share: float) -> dict[str, object]:
    """Return the seconds of eight methods on a photograph, a small one where not all is asked for."""
    return ask({"run": "photograph", "side": 224 if share == 1 else 64, "threads": 2})


def measure_crops(share: float) -> dict[str, object]:
    """Explain crops of photographs by four methods, each on two workers, and say how alike the methods' maps are.

    What was explained when a run was stopped stays in `build/crops` until all of it is done.
    """
    count = max(6, int(CROPS * share))
    folder = ROOT / "build" / f"crops-{count}"
    crops.run_commands(folder, count)
    found = {"errors": crops.count_errors(folder), "alike": crops.compare_stores(folder)}
    mib = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    shutil.rmtree(folder)
    return {"crops": count, "side": crops.SIDE, "workers": crops.WORKERS, "mib": mib, **found}


PARTS: dict[str, Callable[[float], object]] = {
    "sweep": measure_sweep,
    "threads": measure_threads,
    "streamed": measure_streamed,
    "cost": measure_costs,
    "thousand": measure_thousand,
    "photograph": measure_photograph,
    "crops": measure_crops,
}

if __name__ == "__main__":
    main()
