"""T4: eleven methods before and after all weights are drawn anew, on the authors' own LeNet and pictures of MNIST.

One published row is that of the gradient under another name: the network calls `F.relu`, and a library that hooks
modules finds no ReLU to guide. `measure_guided` shows it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

import xnb
from reproduce.lenet import modular_lenet
from reproduce.networks import LENETS, is_right, load_lenet
from reproduce.results import write_result
from reproduce.sources import LabelledPictures, find_file
from reproduce.verdicts import Measurement
from xnb.access.draws import mix_seed
from xnb.comparison import estimate_mean
from xnb.methods import METHODS
from xnb.metrics import efficient_mprt, rank_correlation
from xnb.metrics.randomised_models import randomised_copy
from xnb.metrics.similarity import Similarity, map_similarity
from xnb.types import Attribution, Batch, Model, Target

TABLE = "T4"
CODE = ("t4_sanity.py", "networks.py", "lenet.py")
PICTURES = "published/metaquantus/mnist_test50.npz"
DATA = (PICTURES, *LENETS.values())
DRAWS = 16  # of random weights
# The outputs do not name the authors' similarity; their code configures SSIM of maps with their signs.
SIMILARITIES: dict[str, Similarity] = {"MPRT": "ssim", "by rank": "spearman", "by rank of magnitudes": "spearman_abs"}
_GRAD_CAM_LAYER = "conv2"
Explain = Callable[[Any, Batch, Target], Attribution]


def read_pictures() -> LabelledPictures:
    """Return the authors' 50 pictures, which are normalised already, and their classes."""
    with np.load(find_file(PICTURES)) as file:
        return LabelledPictures(torch.from_numpy(file["x"]), torch.from_numpy(file["y"]))


def draw_map(model: nn.Module, x: Batch, target: Target) -> Attribution:
    """Noise of a new draw for every network, as a map that knows nothing has to be."""
    weights = float(next(model.parameters()).double().sum())
    return METHODS["random"](model, x, target, seed=mix_seed(f"{weights!r}", 0))


def explain_size(model: Model, x: Batch, target: Target) -> Attribution:
    return METHODS["gradient"](model, x, target).abs()


def list_methods() -> dict[str, Explain]:
    """The eleven methods by their published names; baselines are 0, the authors' one, in normalised pictures."""
    find = METHODS.find
    return {
        "Random": draw_map,
        "Gradient": find("gradient"),
        "Saliency": explain_size,
        "Grad-CAM": partial(find("grad_cam"), layer=_GRAD_CAM_LAYER, signed=True),
        "SmoothGrad": partial(find("smoothgrad"), samples=20, sigma=0.1),
        "Integrated Gradients": partial(find("integrated_gradients"), steps=20),
        "LRP-eps": partial(find("lrp"), composite="epsilon"),
        "LRP-z+": partial(find("lrp"), composite="z_plus"),
        "Guided Backprop": find("guided_backprop"),
        "GradientSHAP": partial(find("expected_gradients"), samples=20),
        "Input x Gradient": find("gradient_times_input"),
    }


def measure_method(explain: Explain, model: nn.Module, pictures: LabelledPictures) -> dict[str, Measurement]:
    """Return both numbers of one method, with intervals over draws of weights and pictures.

    Beside them the same similarity by ranks, with signs and of magnitudes, which the table does not have.
    """
    x, y = pictures
    before = explain(model, x, y)
    found: dict[str, list[Tensor]] = {name: [] for name in ("eMPRT", *SIMILARITIES)}
    for seed in range(DRAWS):
        after = explain(randomised_copy(model, seed=seed), x, y)
        for name, kind in SIMILARITIES.items():
            found[name].append(map_similarity(before, after, x, kind))
        found["eMPRT"].append(efficient_mprt(model, x, y, before, method=explain, bins=100, seed=seed))
    return {name: estimate_finite(values) for name, values in found.items()}


def estimate_finite(values: list[Tensor]) -> Measurement:
    """Return the mean with its interval; pictures without a number under one of the draws are left out."""
    table = torch.stack(values).double().numpy()
    estimate = estimate_mean(table[:, np.isfinite(table).all(0)])
    return Measurement(estimate.mean, estimate.low, estimate.high)


def hook_guided_backprop(model: nn.Module, x: Batch, target: Target) -> Attribution:
    """Guided backprop as Zennit does it: a hook on every module that is a ReLU."""
    from zennit.attribution import Gradient
    from zennit.composites import GuidedBackprop

    inputs = x.clone().requires_grad_()
    with Gradient(model, composite=GuidedBackprop()) as attributor:
        _, attribution = attributor(inputs, torch.eye(10, dtype=x.dtype)[target])
    return attribution.detach()


def measure_guided(model: nn.Module, pictures: LabelledPictures) -> dict[str, object]:
    """Return how far guided backprop is from the gradient, by hooks of modules and by functions."""
    x, y = pictures
    gradient = METHODS["gradient"](model, x, y)
    guided = METHODS["guided_backprop"](model, x, y)
    hooked = hook_guided_backprop(model, x, y)
    mended = hook_guided_backprop(modular_lenet(load_lenet()), x, y)
    ranks = estimate_mean(rank_correlation(guided, gradient).numpy())
    return {
        "largest gradient": _largest(gradient),
        "hooked less gradient": _largest(hooked - gradient),
        "guided less gradient": _largest(guided - gradient),
        "hooked less guided, ReLU as module": _largest(mended - guided),
        "rank correlation": ranks._asdict(),
        "lint": str(xnb.lint(model, x, ["guided_backprop"]).loc["guided_backprop", "caution"]),
    }


def _largest(a: Float[Tensor, "B 1 H W"]) -> float:
    return float(a.abs().max())


def measure_accuracies(pictures: LabelledPictures) -> dict[str, int]:
    """Return how many of the 50 pictures each LeNet gets right: a test set of its own is one that it knows."""
    return {name: int(is_right(load_lenet(name), *pictures).sum()) for name in LENETS}


def run() -> dict:
    """Measure eleven methods, and what became of the eleventh."""
    pictures = read_pictures()
    model = load_lenet()
    measured: dict[str, dict[str, Measurement]] = {}
    for name, explain in list_methods().items():
        for column, value in measure_method(explain, model, pictures).items():
            measured.setdefault(column, {})[name] = value
    by_rank = {column: measured.pop(column) for column in ("by rank", "by rank of magnitudes")}
    facts = {
        "right of 50": measure_accuracies(pictures),
        "guided": measure_guided(model, pictures),
        "by rank": {column: {name: list(value) for name, value in rows.items()} for column, rows in by_rank.items()},
    }
    settings = {"pictures": len(pictures.y), "draws of weights": DRAWS, "Grad-CAM of": _GRAD_CAM_LAYER}
    libraries = ("torch", "numpy", "zennit")
    return write_result(TABLE, measured, code=CODE, data=DATA, settings=settings, facts=facts, libraries=libraries)
