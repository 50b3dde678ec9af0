"""The command line: measure rows, print the table, keep `results.json`."""

import argparse
import gc
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

import torch
from tqdm import tqdm

import xnb
from benchmarks import gradients, maps, relevance, removals, scores, tables  # noqa: F401  (they fill the list of rows)
from benchmarks.accuracy import accuracy
from benchmarks.cases import ROWS, Row, matches
from benchmarks.clock import Clock
from benchmarks.growth import grow
from benchmarks.latency import latency
from benchmarks.measure import Plan, measure
from benchmarks.store import ABOUT, Results, conditions, read
from benchmarks.summary import extras, gains, suite, summarise, table
from benchmarks.workloads import load

FOLDER = Path(__file__).parent
BUILD = FOLDER.parent / "build"
APART = ("accuracy", "growth", "latency")  # what is measured besides rows


def main(arguments: Sequence[str] | None = None) -> int:
    """0 for the shell, 130 if interrupted, 2 if results would not go together."""
    options = parser().parse_args(arguments)
    options.output = options.output or (BUILD / "benchmarks.json" if options.tiny else FOLDER / "results.json")
    names = [name for name in [*(row.name for row in ROWS), *APART] if matches(name, options.only)]
    if options.list:
        say("\n".join(names))
        return 0
    if options.device == "cuda" and not torch.cuda.is_available():
        say("No CUDA device: nothing is measured.")
        return 0
    if options.tuned and not xnb.tune_malloc():
        say("No glibc, no malloc to tune: nothing is measured.")
        return 0
    results, interrupted = start(options), False
    if (options.resume or options.only) and not results.resume():
        say(f"{results.path.name} was measured under other conditions.\n  try: --output another.json")
        return 2
    try:
        run(options, results, names)
    except KeyboardInterrupt:
        interrupted = True
    report(results)
    if interrupted:
        say("\nStopped. What is finished is kept: `--resume` goes on from there.")
        return 130
    return again_with_tuned_malloc(options, arguments) if options.malloc else 0


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="xnb side by side with other libraries",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="How to read it:\n\n" + "\n".join(fill(f"{name}: {text}", 110) for name, text in ABOUT.items()),
    )
    found.add_argument("--only", default="", metavar="WORDS", help="rows whose name contains one of these, between ;")
    found.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    found.add_argument("--quick", action="store_true", help="3 rounds instead of 7")
    found.add_argument("--resume", action="store_true", help="go on where an earlier run stopped")
    found.add_argument("--threads", type=int, default=2, help="of torch (2)")
    found.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu on a busy machine, with 1 thread")
    found.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    found.add_argument("--malloc", action="store_true", help="afterwards all again, in a process with tuned malloc")
    found.add_argument("--tuned", action="store_true", help="with tuned malloc; see xnb.tune_malloc")
    found.add_argument("--tiny", action="store_true", help="networks of a few channels, to try the program itself")
    found.add_argument("--output", type=Path, help="benchmarks/results.json, or in build/ what is tiny")
    return found


def start(options: argparse.Namespace) -> Results:
    """Set the process up as asked, and find what is there already."""
    gc.freeze()  # what the imports made stays out of the collection before each call
    torch.set_num_threads(options.threads)
    rounds = 3 if options.quick else 7
    now = conditions(options.device, options.threads, options.clock, rounds, options.tuned, options.tiny)
    return Results(options.output, options.device + (", tuned malloc" if options.tuned else ""), now)


def run(options: argparse.Namespace, results: Results, names: list[str]) -> None:
    """Measure what was chosen, row by row, each written as soon as it is there."""
    clock = Clock(time.process_time if options.clock == "cpu" else time.perf_counter, options.device)
    plan = Plan(results.conditions["rounds"], clock, extra=options.device == "cuda")
    todo = [name for name in names if not (options.resume and name in results.rows)]
    by_name = {row.name: row for row in ROWS}
    for name in progress(todo):
        if name == "accuracy":
            results.rows[name] = {"budgets": accuracy(tiny=options.tiny)}
        elif name == "growth":
            figure = options.output.with_name("growth.png") if options.device == "cpu" and not options.tuned else None
            results.rows[name] = {"tasks": grow(clock, tiny=options.tiny, figure=figure)}
        elif name == "latency":
            results.rows[name] = {"milliseconds": latency()}
        else:
            results.rows[name] = measured(by_name[name], plan, options.tiny)
        results.suite = suite(results.rows)
        results.write()


def measured(row: Row, plan: Plan, tiny: bool) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = load(row.workload, row.inputs, tiny=tiny, device=plan.clock.device)
        case = row.build(w)
        found = measure(w, case, plan)
    return {**found, "lines": summarise(case, found)}


def progress(names: list[str]) -> Iterator[str]:
    with tqdm(names, unit="row", dynamic_ncols=True) as bar:
        for name in bar:
            bar.set_description(name[:40])
            yield name


def report(results: Results) -> None:
    """Print what there is."""
    found, forms = table(results.rows), extras(results.rows)
    say(found.to_string(index=False) if len(found) else "No row is finished.")
    if len(forms):
        say("\n" + forms.to_string(index=False))
    if results.suite:
        say("\n" + "\n".join(f"{name}: {value:.3g}" for name, value in results.suite.items()))
    for name, row in results.rows.items():
        for variant, reason in row.get("failed", {}).items():
            say(f"failed: {name}: {variant}: {reason}")
    for budget in results.rows.get("accuracy", {}).get("budgets", []):
        say("error to exact Shapley values: " + ", ".join(f"{name} {value:.3g}" for name, value in budget.items()))
    for name, ms in results.rows.get("latency", {}).get("milliseconds", {}).items():
        say(f"from key to picture: {name}: " + ", ".join(f"{key} {value:.0f}" for key, value in ms.items()) + " ms")
    for name, task in results.rows.get("growth", {}).get("tasks", {}).items():
        say(f"growth with {task['of']}: slope {task['slope']:.2f}, goal {task['goal']} ({name})")


def again_with_tuned_malloc(options: argparse.Namespace, arguments: Sequence[str] | None) -> int:
    """The allocator can only be tuned for a whole process, and for good: so the peers have it too."""
    passed = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != "--malloc"]
    code = subprocess.run([sys.executable, "-m", "benchmarks", *passed, "--tuned"], check=False).returncode
    runs = read(options.output)
    if f"{options.device}, tuned malloc" in runs:
        say("\nWith tuned malloc, and seconds of it by seconds without:")
        say(gains(runs[options.device]["rows"], runs[f"{options.device}, tuned malloc"]["rows"]).to_string(index=False))
    return code


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
