"""T5: how well are Shapley values estimated by eight evaluations a feature? Three estimators on four data sets.

Model, data, explained rows and baseline are the authors': boosted trees, one row of the table, its mean. The truth is
computed from the trees. Which row a run explained is found by the squared length of the truth, which the authors note.
"""

import ast
import lzma
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from reproduce.results import write_result
from reproduce.sources import find_file
from reproduce.verdicts import Measurement
from xnb.adapters import from_numpy
from xnb.comparison import estimate_mean
from xnb.methods import METHODS

TABLE = "T5"
CODE = ("t5_leverage.py",)
DATASETS = ("IRIS", "Diabetes", "Correlated", "Independent")
ESTIMATORS = ("Kernel", "Leverage", "Permutation")
DATA = tuple(f"published/leverageshap/{d}_{e}_SHAP.csv.xz" for d in DATASETS for e in ESTIMATORS)
RUNS = 100  # of each estimator on each data set
_BUDGET = 8  # evaluations a feature
_SAME = 1e-6  # of a squared length, relative: two such truths are one
_MIDDLE = slice(39, 61)  # of 100 sorted runs: between these lies the median with 95 %


class Game(NamedTuple):
    """What is explained: a function of tables, and the records that rows are drawn from."""

    predict: Callable[[NDArray], NDArray]
    truth: Callable[[NDArray], NDArray]  # of rows, against the mean row
    records: pd.DataFrame


def make_game(dataset: str) -> Game:
    """Fit the authors' trees to one of their data sets."""
    import shap
    import xgboost

    loaders = {
        "IRIS": shap.datasets.iris,
        "Diabetes": shap.datasets.diabetes,
        "Correlated": shap.datasets.corrgroups60,
        "Independent": shap.datasets.independentlinear60,
    }
    records, labels = loaders[dataset]()
    trees = xgboost.XGBRegressor(n_estimators=100, max_depth=4)
    trees.fit(records, labels)

    explainer = shap.TreeExplainer(trees, records.mean().to_numpy(dtype=float)[None])

    def find_truth(rows: NDArray) -> NDArray:
        return explainer.shap_values(rows).astype(float)

    return Game(trees.predict, find_truth, records)


def find_rows(game: Game, lengths: NDArray) -> tuple[NDArray, Float[np.ndarray, " runs"]]:
    """Return the record that each of the authors' runs explained, and how far its length is from the one they note.

    Args:
        lengths: squared lengths of the truth, as noted.
    """
    values = game.records.to_numpy(dtype=float)
    own = (game.truth(values) ** 2).sum(1)
    nearest = np.abs(own[:, None] - lengths).argmin(0)
    return values[nearest], np.abs(own[nearest] / lengths - 1)


def find_baseline(game: Game) -> Float[np.ndarray, "1 n"]:
    return game.records.mean().to_numpy(dtype=float, copy=True)[None]


def estimate_values(game: Game, estimator: str, row: NDArray, baseline: NDArray, run: int) -> NDArray:
    """Return our estimate from eight evaluations a feature."""
    features = row.shape[1]
    budget = _BUDGET * features
    knobs: dict[str, Any] = {"baseline": torch.from_numpy(baseline), "seed": run}
    if estimator == "Permutation":
        # an order and its reverse take 2 (n - 1) evaluations
        name, knobs["samples"] = "permutation_shapley", max(2, budget // (2 * features))
    else:
        name, knobs["samples"] = "kernel_shap", min(budget, 2**features - 2)
        knobs["sampling"] = "leverage" if estimator == "Leverage" else "paired"
    one = torch.ones(1, dtype=torch.long)  # the number itself, and not its negative
    return METHODS[name](from_numpy(game.predict), torch.from_numpy(row), one, **knobs).numpy().ravel()


def measure_errors(game: Game, rows: NDArray) -> dict[str, NDArray]:
    """Return the relative squared error of every run by estimator.

    Args:
        rows: what is explained, a row a run.
    """
    baseline = find_baseline(game)
    errors: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for run, values in enumerate(rows):
        row = values[None].copy()
        truth = game.truth(row)[0]
        for name in ESTIMATORS:
            difference = estimate_values(game, name, row, baseline, run) - truth
            errors[name].append(float((difference**2).sum() / (truth**2).sum()))
    return {name: np.array(values) for name, values in errors.items()}


def read_runs(dataset: str, estimator: str) -> pd.DataFrame:
    """Return the authors' own runs at this budget: a row a run."""
    file = find_file(f"published/leverageshap/{dataset}_{estimator}_SHAP.csv.xz")
    lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    table = pd.DataFrame([ast.literal_eval(line) for line in lines if line.strip()])
    budget = _BUDGET * int(table["n"].iloc[0])
    return table[(table["sample_size"] == budget) & (table["noise"] == 0)].reset_index(drop=True)


def measure_spreads(runs: NDArray) -> dict[str, float]:
    """Return the standard error of the authors' mean, and that of their median."""
    middle = np.sort(runs)[_MIDDLE]
    return {"mean": float(runs.std(ddof=1)) / np.sqrt(len(runs)), "median": float(np.ptp(middle)) / 4}


def measure_centre(errors: NDArray) -> dict[str, Measurement]:
    """Return our mean and our median, each with an interval over runs."""
    estimate = estimate_mean(errors)
    middle = np.sort(errors)[_MIDDLE]
    return {
        "mean": Measurement(estimate.mean, estimate.low, estimate.high),
        "median": Measurement(float(np.median(errors)), float(middle[0]), float(middle[-1])),
    }


def compare_errors(ours: NDArray, others: NDArray) -> dict[str, float]:
    """Return the mean of the logarithm (base 10) of the ratio of errors, run by run: below 0 where ours are smaller."""
    return estimate_mean(np.log10(ours / others))._asdict()


class Runs(NamedTuple):
    """Errors of one data set by estimator, run by run, the authors' and ours."""

    theirs: dict[str, NDArray]
    ours: dict[str, NDArray]
    same_games: int  # runs in which the truth has the length that the authors note


def collect_runs(dataset: str) -> Runs:
    """Measure one data set, and read the authors' runs of it."""
    tables = {name: read_runs(dataset, name) for name in ESTIMATORS}
    theirs = {name: table["shap_error"].to_numpy() for name, table in tables.items()}
    game = make_game(dataset)
    rows, off = find_rows(game, tables["Kernel"]["shap_norm_sq"].to_numpy())
    return Runs(theirs, measure_errors(game, rows), int((off < _SAME).sum()))


def run() -> dict:
    """Measure three estimators on four data sets, beside the authors' own runs."""
    measured: dict[str, dict[str, Measurement]] = {}
    spreads: dict[str, dict[str, float]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for dataset in DATASETS:
        runs = collect_runs(dataset)
        for name in ESTIMATORS:
            centres, deviations = measure_centre(runs.ours[name]), measure_spreads(runs.theirs[name])
            for kind, centre in centres.items():
                measured.setdefault(f"{dataset}, {kind}", {})[name] = centre
                spreads.setdefault(f"{dataset}, {kind}", {})[name] = deviations[kind]
        for name, found in describe_runs(dataset, runs).items():
            facts.setdefault(name, {}).update(found)
    settings = {"runs": RUNS, "evaluations a feature": _BUDGET, "model": "100 boosted trees of depth 4"}
    return write_result(
        TABLE,
        measured,
        code=CODE,
        data=DATA,
        settings=settings,
        facts=facts,
        spreads=spreads,
        libraries=("numpy", "shap", "xgboost-cpu", "scikit-learn"),
    )


def describe_runs(dataset: str, runs: Runs) -> dict[str, dict[str, Any]]:
    """Return what else the notebook shows of one data set: every error, and comparisons run by run."""
    return {
        "same games": {dataset: runs.same_games},
        "theirs": {f"{dataset}, {name}": errors.tolist() for name, errors in runs.theirs.items()},
        "ours": {f"{dataset}, {name}": errors.tolist() for name, errors in runs.ours.items()},
        "leverage over kernel": {dataset: compare_errors(runs.ours["Leverage"], runs.ours["Kernel"])},
        "kernel over theirs": {dataset: compare_errors(runs.ours["Kernel"], runs.theirs["Kernel"])},
    }
