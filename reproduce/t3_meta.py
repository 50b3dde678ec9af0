"""T3: which metric can be relied on? Meta-consistency of ten metrics, with the authors' LeNet, pictures and masks."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import torch

from reproduce.networks import LENETS, load_lenet
from reproduce.results import read_figures, write_result
from reproduce.sources import find_file
from reproduce.t4_sanity import PICTURES, explain_size
from reproduce.verdicts import Measurement
from xnb.comparison import evaluate_metrics
from xnb.data import Part
from xnb.methods import METHODS
from xnb.metrics import METRICS

TABLE = "T3"
CODE = ("t3_meta.py", "t4_sanity.py", "networks.py", "lenet.py")
DATA = (PICTURES, LENETS["MNIST"])
ITERATIONS = 2
DRAWS = 2
_SIDE = 28
_TWO_ROWS = 2 * _SIDE  # pixels that the authors remove at a time


def read_part() -> Part:
    """Return the authors' 50 pictures with their masks."""
    with np.load(find_file(PICTURES)) as file:
        x, y, masks = (torch.from_numpy(file[name]) for name in ("x", "y", "s"))
    return Part(x, y, masks.bool())


def list_methods() -> dict[str, Callable]:
    """The authors' six methods."""
    find = METHODS.find
    return {
        "Gradient": find("gradient"),
        "Saliency": explain_size,
        "Integrated Gradients": partial(find("integrated_gradients"), steps=8),
        "Grad-CAM": partial(find("grad_cam"), layer="conv2", signed=True),
        "Occlusion": partial(find("occlusion"), window=_SIDE // 4),
        "GradientSHAP": partial(find("expected_gradients"), samples=8),
    }


def list_metrics() -> dict[str, Callable]:
    """The authors' ten metrics, as this package has them, by their published names."""
    find = METRICS.find
    return {
        "Sparseness": find("sparseness"),
        "Complexity": find("entropy"),
        "Faithfulness Correlation": partial(find("faithfulness_correlation"), size=_TWO_ROWS, samples=10, side=_SIDE),
        "Pixel-Flipping": partial(find("deletion"), steps=_SIDE // 2, unit="softmax", impute="mean"),
        "Pointing-Game": find("pointing_game"),
        "Relevance Mass": find("relevance_mass"),
        "Random Logit": find("random_logit"),
        "MPRT": find("mprt"),
        "Max-Sensitivity": partial(find("max_sensitivity"), samples=3),
        "Local Lipschitz": partial(find("local_lipschitz"), samples=3),
    }


# The better end of each, as the authors set it.
BETTER: dict[str, Literal["higher", "lower"]] = {
    "Sparseness": "higher",
    "Complexity": "lower",
    "Faithfulness Correlation": "higher",
    "Pixel-Flipping": "lower",
    "Pointing-Game": "higher",
    "Relevance Mass": "higher",
    "Random Logit": "lower",
    "MPRT": "lower",
    "Max-Sensitivity": "lower",
    "Local Lipschitz": "lower",
}


def summarise(table: pd.DataFrame) -> dict[str, dict[str, Measurement]]:
    """Return by test and metric the mean over iterations, and two of their deviations on either side.

    Iterations differ in the noise alone, so this is the spread of the noise and no interval over pictures.
    """
    measured: dict[str, dict[str, Measurement]] = {}
    for (space, metric), values in table.groupby(["perturbed", "metric"], sort=False)["mc"]:
        mean, reach = float(values.mean()), 2 * float(values.std(ddof=0))
        measured.setdefault(str(space), {})[str(metric)] = Measurement(mean, mean - reach, mean + reach)
    return measured


def average_parts(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return by test and metric the four parts of the score, mean over iterations."""
    names = ["iac_nr", "iac_ar", "iec_nr", "iec_ar"]
    parts = table.groupby(["perturbed", "metric"])[names].mean().reset_index()
    return {f"{row['perturbed']}, {row['metric']}": {name: row[name] for name in names} for _, row in parts.iterrows()}


def run() -> dict:
    """Score ten metrics before and after noise on the pictures and on the weights."""
    part = read_part()
    bounds = (float(part.x.min()), float("inf"))  # as the authors cut noisy pictures
    table = evaluate_metrics(
        load_lenet(),
        part,
        list_methods(),
        list_metrics(),
        draws=DRAWS,
        iterations=ITERATIONS,
        bounds=bounds,
        better=BETTER,
    )
    measured = summarise(table)
    settings = {"pictures": len(part), "draws": DRAWS, "iterations": ITERATIONS, "methods": list(list_methods())}
    facts = {"parts": average_parts(table), "rows": list(read_figures(TABLE)["input"])}
    return write_result(TABLE, measured, code=CODE, data=DATA, settings=settings, facts=facts)
