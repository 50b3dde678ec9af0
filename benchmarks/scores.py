"""Rows of metrics. What is removed, and how inputs are moved, is drawn by ours and given to the others too."""

from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import judges
from benchmarks.cases import Case, Peer, in_double, row
from benchmarks.peers import sizes
from benchmarks.workloads import Workload
from xnb import metrics
from xnb.access.draws import make_generator
from xnb.methods.gradient import gradient
from xnb.metrics.imputers import NOISE, noisy_linear_imputation
from xnb.metrics.map_values import broadcast_units, rank_units
from xnb.metrics.neighbours import shared_noise
from xnb.metrics.subsets import draw_squares

SETS, MOVES, RADIUS = 128, 10, 0.02
HALF = {"prepared/default": 0.60, "memory": 0.2}


@row("infidelity", cnn32=4)
def infidelity(w: Workload) -> Case:
    a, gone = gradient(w.model, w.x, w.target) * w.x, draw_squares(w.x, (2, 3), SETS, 0)
    settings = sizes("max_examples_per_batch", (len(w.x), 16, 32, 64, 128))
    peer = Peer("captum", partial(judges.captum_infidelity, w, a, gone), HALF, settings)

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return metrics.infidelity(model, x, target, a.to(x), samples=SETS, normalise=False)

    return Case(ours, (peer,), ((SETS + 1) * len(w.x), 0), referee=in_double(w, ours))


@row("max_sensitivity", cnn32=8, vit32=4)
def max_sensitivity(w: Workload) -> Case:
    moves = RADIUS * shared_noise(w.x, MOVES, 0, uniform=True)
    settings = sizes("max_examples_per_batch", (len(w.x), 16, 32, 64))
    captum = Peer("captum", partial(judges.captum_sensitivity, w, moves, judges.slope), HALF, settings)
    quantus = Peer("quantus", partial(judges.quantus_sensitivity, w, moves), HALF, judges.batches(1, 4, 16))

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        knobs = {"radius": RADIUS, "samples": MOVES, "same_prediction": False}
        return metrics.max_sensitivity(model, x, target, gradient(model, x, target), method=gradient, **knobs)

    return Case(ours, (captum, quantus), (0, (MOVES + 1) * len(w.x)), referee=in_double(w, ours))


@row("mprt, slope", cnn32=8)
def mprt(w: Workload) -> Case:
    """Both draw the same parameters: a layer's are a function of its shape. Preparing every copy would cost more."""
    w = judges.repeatable(w)
    layers = len(metrics.randomised_models.parameter_layers(w.model))

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        found = metrics.mprt_curve(w.model, x, target, gradient(w.model, x, target), method=gradient)
        return torch.stack(list(found.values()))

    peer = Peer("quantus", partial(judges.quantus_mprt, w), {"prepared/default": 0.45}, judges.batches(1, 4, 16))
    return Case(ours, (peer,), (0, (layers + 1) * len(w.x)), tolerance=1e-3)


@row("noisy linear imputation", cnn32=16)
def imputation(w: Workload) -> Case:
    """A tenth to nine tenths of the pixels, the largest first."""
    place = rank_units(w.x.sum(1).flatten(1), 0)
    shares = torch.arange(1, 10) / 10
    removed = torch.stack([broadcast_units((place < share * place.shape[1]).to(w.x), w.x, (2, 3)) for share in shares])
    added = torch.randn(w.x.shape[1:], generator=make_generator("imputed noise", 0)).to(w.x) * NOISE * removed

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return noisy_linear_imputation(x, removed)

    def without_noise(found: Tensor) -> Tensor:
        return found - added

    goals = {"prepared/default": 0.45}
    quantus = Peer("quantus", partial(judges.quantus_imputation, w, removed), goals, view=without_noise)
    grad_cam = Peer("grad-cam", partial(judges.grad_cam_imputation, w, removed), goals, view=without_noise)
    return Case(ours, (quantus, grad_cam), tolerance=1e-4)
