"""Error of kernel_shap to exact Shapley values at equal samples: ours, shap's and Captum's."""

import statistics
from collections.abc import Callable

import captum.attr
import torch
from torch import Tensor

import xnb
from benchmarks.measure import root_mean_square
from benchmarks.peers import shap_kernel
from benchmarks.workloads import Workload, load

SAMPLES = (50, 100, 200, 500, 1000)
SEEDS = (0, 1, 2)


def accuracy(*, tiny: bool = False) -> list[dict[str, object]]:
    """Relative root mean square error over 16 rows of 10 features, mean over seeds; ours must not exceed shap's."""
    w = load("mlp", 16, tiny=tiny)
    exact = xnb.attribute(w.model, w.x, w.target, "exact_shapley").double()
    budgets = SAMPLES[:2] if tiny else SAMPLES
    return [budget(w, exact, samples) for samples in budgets]


def budget(w: Workload, exact: Tensor, samples: int) -> dict[str, object]:
    found = {
        "xnb": error(exact, lambda seed: ours(w, samples, seed)),
        "shap": error(exact, lambda seed: shap_kernel(w, samples, seed)),
        "captum": error(exact, lambda seed: theirs(w, samples, seed)),
    }
    return {"samples": samples, **found, "met": found["xnb"] <= found["shap"] * (1 + 1e-3) + 1e-5}


def error(exact: Tensor, draw: Callable[[int], Tensor]) -> float:
    return statistics.mean(root_mean_square(draw(seed).double(), exact) for seed in SEEDS)


def ours(w: Workload, samples: int, seed: int) -> Tensor:
    return xnb.attribute(w.model, w.x, w.target, "kernel_shap", samples=samples, seed=seed)


def theirs(w: Workload, samples: int, seed: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shapley = captum.attr.KernelShap(w.model)
        return shapley.attribute(w.x, target=w.target, n_samples=samples, perturbations_per_eval=32)
