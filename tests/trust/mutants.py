"""How many mutants of the arithmetic do its own tests find? `make mutants` draws some, and runs those tests on each.

python tests/trust/mutants.py [--number 300] [--seed 0] [--only xnb.metrics.removal ...] [--again]

Own tests of a module are the file that mirrors it, those whose docstring names it, `Tests: xnb.room.module`, and of
contracts and refusals what names a function of it. What is found stands in `build/mutants/`, by seed; a run that was
stopped goes on. The result of a whole run is written to `tests/trust/mutants.json`. Mutants that change no answer stand
in `equivalent_mutants.toml`, with the reason.
"""

import argparse
import ast
import datetime
import json
import random
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

from mutations import Mutant, describe, functions_of, list_mutants, mutate
from planting import ROOT, Forks, collect, plant, read_source

HERE = Path(__file__).resolve().parent
TESTS = ROOT / "tests"
RESULTS = ROOT / "build" / "mutants"
RUNS = HERE / "mutants.json"
EQUIVALENT = HERE / "equivalent_mutants.toml"
# What every method and metric owes, and every refusal: tests that are named by what they ask for.
SHARED = ("test_contract.py", "test_metrics_contract.py", "refusals/test_refusals.py")
LIMIT = 600  # seconds for the tests of one mutant, some of which never end
METRICS = [path.stem for path in sorted((ROOT / "xnb" / "metrics").glob("*.py"))]
MODULES = [
    *(f"xnb.metrics.{name}" for name in METRICS if name not in {"__init__", "registry"}),
    "xnb.comparison.differences",
    "xnb.comparison.inference",
    "xnb.comparison.jackknife",
    "xnb.comparison.operating_point",
    "xnb.comparison.rank_statistics",
    "xnb.comparison.statistics",
    "xnb.access.regions",
    "xnb.methods.adaptive_steps",
    "xnb.methods.deep_lift_rules",
    "xnb.methods.integrated_gradients",
    "xnb.methods.lrp_division",
    "xnb.methods.lrp_rules",
]


@cache
def list_named() -> dict[Path, set[str]]:
    """By test file, the modules that its docstring names after `Tests:`."""
    named = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        lines = re.findall(r"^Tests: (.*(?:\n(?!\n).*)*)", text, re.M)
        named[file] = {name.strip(" .,`") for line in lines for name in line.replace("\n", " ").split(",")}
    return named


@cache
def find_own_tests(module: str) -> dict[Path, list[str]]:
    """By file, which tests are those of a module, the nearest first; "" stands for all of a file."""
    _, *rooms, stem = module.split(".")
    mirrors = sorted(TESTS.joinpath(*rooms).rglob(f"test_{stem}*.py"))
    own = [*mirrors, *(file for file, names in list_named().items() if module in names)]
    functions = [name for name, _ in functions_of(ast.parse(read_source(module)))]
    public = [name for name in functions if not name.startswith("_") and "." not in name]
    shared = {TESTS / name: public for name in SHARED if public}
    return {file: [""] for file in own} | {file: parts for file, parts in shared.items() if file not in own}


def draw(modules: list[str], number: int, seed: int) -> list[Mutant]:
    """Mutants of all modules together, each as likely as any other; more of them begin with the same ones."""
    everything = [mutant for module in modules for mutant in list_mutants(module, read_source(module))]
    random.Random(seed).shuffle(everything)
    return everything[:number]


def write_name(mutant: Mutant) -> dict[str, str | int]:
    """What a mutant is known by in files, as long as its function stays as it is."""
    difference = describe(read_source(mutant.module), mutant)
    return {"module": mutant.module, "function": mutant.function, **difference._asdict()}


def read_results(path: Path) -> dict[tuple, dict]:
    """The last result of each mutant, by the values of its name."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {(row["module"], row["function"], row["line"], row["before"], row["after"]): row for row in rows}


def read_equivalent() -> dict[tuple[str, ...], str]:
    """Why a mutant is no fault, by module, function, and what the line was and is."""
    rows = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    return {(row["module"], row["function"], row["before"], row["after"]): row["reason"] for row in rows}


def try_mutants(sample: list[Mutant], path: Path, forks: Forks) -> None:
    """Run its own tests on each mutant, and add a line with what came out to the file."""
    sound: set[str] = set()
    for place, mutant in enumerate(sample, 1):
        tests = find_own_tests(mutant.module)
        outcome = forks.run(tests, lambda mutant=mutant: plant_mutant(mutant), LIMIT)
        if outcome.failed:
            require_sound(outcome.failed, mutant.module, sound, forks)
        row = {**write_name(mutant), "failed": outcome.failed, "seconds": round(outcome.seconds, 1)}
        with path.open("a") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        found = f"found by {outcome.failed}" if outcome.failed else "SURVIVES"
        print(f"{place}/{len(sample)} {write_row(row)}: {found}, {row['seconds']} s", flush=True)


def require_sound(failed: str, module: str, sound: set[str], forks: Forks) -> None:
    """Make sure that what failed passes without the mutant, once for each test, and in half of the time.

    Raises:
        RuntimeError: it fails there too.
    """
    is_test = "::" in failed
    known = failed if is_test else module
    if known in sound:
        return
    tests = {ROOT / failed.split("::")[0]: [failed]} if is_test else find_own_tests(module)
    untouched = forks.run(tests, limit=LIMIT / 2)
    if untouched.failed:
        raise RuntimeError(f"{module}: a test fails without any mutant\n  got: {untouched.failed}")
    sound.add(known)


def plant_mutant(mutant: Mutant) -> None:
    planted = plant(mutant.module, mutate(read_source(mutant.module), mutant))
    assert mutant.function in planted, f"{mutant.function} is not loaded"


def write_row(row: dict) -> str:
    return f"{row['module']} {row['function']}: {row['before']} -> {row['after']}"


def summarise(rows: list[dict], equivalent: dict[tuple[str, ...], str]) -> dict:
    """Counts, and the share that is found of those that change an answer, with Wilson's interval."""
    from scipy import stats  # not above: conftest.py says how many threads there are

    alive = [row for row in rows if not row["failed"]]
    survivors = [
        row for row in alive if (row["module"], row["function"], row["before"], row["after"]) not in equivalent
    ]
    found = len(rows) - len(alive)
    test = stats.binomtest(found, found + len(survivors))
    return {
        "mutants": len(rows),
        "found": found,
        "equivalent": len(alive) - len(survivors),
        "share_found": round(float(test.statistic), 4),
        "interval": [round(float(end), 4) for end in test.proportion_ci(0.95, "wilson")],
        "survivors": [write_row(row) for row in survivors],
        "by_module": dict(sorted(Counter(row["module"] for row in rows).items())),
    }


def read_runs() -> list[dict]:
    """What whole runs have found, by seed."""
    return json.loads(RUNS.read_text()) if RUNS.exists() else []


def store(run: dict) -> None:
    """Write a run in the place of an earlier one of its seed."""
    others = [other for other in read_runs() if other["seed"] != run["seed"]]
    runs = sorted([*others, run], key=lambda run: run["seed"])
    RUNS.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=MODULES, help="of the sample, those of these modules")
    parser.add_argument("--again", action="store_true", help="try once more what survived")
    asked = parser.parse_args()

    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{asked.seed}.jsonl"
    sample = [mutant for mutant in draw(MODULES, asked.number, asked.seed) if mutant.module in asked.only]
    names = {mutant: tuple(write_name(mutant).values()) for mutant in sample}
    before = read_results(path)
    settled = {name for name, row in before.items() if row["failed"] or not asked.again}
    left = [mutant for mutant, name in names.items() if name not in settled]
    if left:
        files = dict.fromkeys(file for mutant in left for file in find_own_tests(mutant.module))
        collect(files, lambda forks: try_mutants(left, path, forks), RESULTS / "temporary")

    results = read_results(path)
    summary = summarise([results[name] for name in names.values()], read_equivalent())
    print(*(f"survives: {text}" for text in summary["survivors"]), sep="\n")
    print("{mutants} mutants, {equivalent} equivalent, {found} found: {share_found:.1%}, {interval}".format(**summary))
    if asked.only == MODULES:
        store({"seed": asked.seed, "date": datetime.date.today().isoformat(), **summary})


if __name__ == "__main__":
    main()
