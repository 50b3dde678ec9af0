"""The metrics of Captum and Quantus, given the perturbations that ours draw, so that results can be compared."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from itertools import cycle

import captum.attr
import captum.metrics
import numpy as np
import quantus
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from quantus.functions.perturb_func import noisy_linear_imputation
from torch import Tensor, nn

from benchmarks.workloads import Workload
from xnb.metrics.imputers import mean_colour
from xnb.metrics.map_values import rank_units

QUIET = {"disable_warnings": True, "display_progressbar": False}
Method = Callable[[nn.Module, Tensor, Tensor], Tensor]
AS_IT_IS = {"abs": False, "normalise": False}  # ours take maps as they are


def slope(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Captum's signed gradient."""
    return captum.attr.Saliency(model).attribute(inputs, target=targets, abs=False).detach()


def as_quantus_asks(method: Method) -> Callable[..., np.ndarray]:
    """A method as the `explain_func` of a metric of Quantus."""

    def explain_func(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **ignored: object) -> np.ndarray:
        device = next(model.parameters()).device
        x, target = torch.as_tensor(inputs, device=device), torch.as_tensor(targets, device=device)
        return method(model, x, target).cpu().numpy()

    return explain_func


def judged(w: Workload, metric: Callable, a: Tensor | None = None, **knobs: object) -> list[float]:
    """A metric of Quantus asked for every input of the workload."""
    options = {"x_batch": w.x.cpu().numpy(), "y_batch": w.target.cpu().numpy(), "channel_first": True, "softmax": False}
    maps = None if a is None else a.cpu().numpy()
    options |= {"explain_func": as_quantus_asks(slope), "device": w.x.device.type}
    return metric(w.model, a_batch=maps, **options | knobs)


def captum_infidelity(w: Workload, a: Tensor, removed: Tensor, **knobs: object) -> Tensor:
    """Of sets of pixels `(N, H W)` that get their picture's mean colour; Captum asks for them a few at a time."""
    paint, done = mean_colour(w.x, (2, 3)), 0

    def perturb(x: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal done
        each = len(x) // len(w.x)
        gone = removed[done : done + each].unflatten(1, tuple(x.shape[2:]))[:, None].repeat(len(w.x), x.shape[1], 1, 1)
        done += each
        return gone.to(x), torch.where(gone, paint.repeat_interleave(each, 0), x)

    options = {"n_perturb_samples": len(removed), "target": w.target}
    return captum.metrics.infidelity(w.model, perturb, w.x, a.expand_as(w.x).contiguous(), **options, **knobs)


def captum_sensitivity(w: Workload, moves: Tensor, method: Method, **knobs: object) -> Tensor:
    """Largest relative change of the map under the given moves `(N, 1, *shape)`."""
    done = 0

    def perturb(x: Tensor) -> Tensor:
        nonlocal done
        each = len(x) // len(w.x)
        moved = x + moves[done : done + each, 0].repeat(len(w.x), 1, 1, 1)
        done += each
        return moved

    def explained(x: tuple[Tensor, ...] | Tensor, target: Tensor) -> tuple[Tensor, ...] | Tensor:
        return (method(w.model, x[0], target),) if isinstance(x, tuple) else method(w.model, x, target)

    options = {"n_perturb_samples": len(moves), "target": w.target}
    return captum.metrics.sensitivity_max(explained, w.x, perturb, **options, **knobs)


def quantus_sensitivity(w: Workload, moves: Tensor, **knobs: object) -> Tensor:
    """The same by Quantus, which moves all inputs once at a time."""
    steps = cycle(moves.flatten(1).cpu().numpy())
    options = {"nr_samples": len(moves), "return_nan_when_prediction_changes": False, **AS_IT_IS, **QUIET}
    metric = quantus.MaxSensitivity(perturb_func=lambda arr, **ignored: arr + next(steps), **options)
    return w.x.new_tensor(judged(w, metric, slope(w.model, w.x, w.target), **knobs))


def quantus_mprt(w: Workload, **knobs: object) -> Tensor:
    """Similarity of the slope after each layer, from the top: `(layers, B)`."""

    def summed(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return slope(model, x, target).sum(1, keepdim=True)

    metric = quantus.MPRT(layer_order="top_down", **AS_IT_IS, **QUIET)
    found = judged(w, metric, explain_func=as_quantus_asks(summed), **knobs)
    return w.x.new_tensor([similarity for layer, similarity in found.items() if layer != "original"])


def quantus_imputation(w: Workload, removed: Tensor) -> Tensor:
    """Every picture under each mask `(N, B, 1, H, W)`, without noise: `(N, B, C, H, W)`."""
    pictures, masks = w.x.cpu().numpy(), removed[:, :, 0].flatten(2).bool().cpu().numpy()
    found = [
        [noisy_linear_imputation(pictures[i], np.flatnonzero(m), noise=0.0) for i, m in enumerate(row)] for row in masks
    ]
    return torch.from_numpy(np.array(found)).to(w.x)


def grad_cam_imputation(w: Workload, removed: Tensor) -> Tensor:
    fill, pictures, shown = NoisyLinearImputer(noise=0.0), w.x.cpu(), 1 - removed[:, :, 0].cpu()
    return torch.stack([torch.stack([fill(pictures[i], m) for i, m in enumerate(row)]) for row in shown]).to(w.x)


def quantus_correlation(w: Workload, a: Tensor, size: int, runs: int, baseline: str, **knobs: object) -> Tensor:
    """Faithfulness correlation; the sets of pixels are Quantus' own, other ones for every call."""
    options = {"subset_size": size, "nr_runs": runs, "perturb_baseline": baseline, "return_aggregate": False}
    return w.x.new_tensor(judged(w, quantus.FaithfulnessCorrelation(**options, **AS_IT_IS, **QUIET), a, **knobs))


def quantus_gap(model: nn.Module, x: Tensor, target: Tensor, a: Tensor, steps: int) -> Tensor:
    """Area between removing the least and the most relevant pixels first, painted with their picture's mean colour.

    Quantus takes values, not pixels, by the order of a map; it is given ours, in which a pixel's channels are one.
    """
    places = rank_units(a.sum(1).flatten(1), 0).view(len(x), 1, *x.shape[2:]).float()
    painted = mean_colour(x, (2, 3)).expand_as(x).flatten(1).cpu().numpy()

    def paint(arr: np.ndarray, indices: np.ndarray, **ignored: object) -> np.ndarray:
        rows = np.arange(len(arr))[:, None]
        found = arr.copy()
        found[rows, indices] = painted[rows, indices]
        return found

    metric = quantus.PixelFlipping(features_in_step=x[0].numel() // steps, perturb_func=paint, **AS_IT_IS, **QUIET)
    given = {"x_batch": x.cpu().numpy(), "y_batch": target.cpu().numpy(), "channel_first": True, "softmax": False}
    curves = []
    for order in (places + 1, places.max() + 1 - places):
        options = {"a_batch": order.cpu().numpy(), "batch_size": len(x), "device": x.device.type}
        curves.append(np.asarray(metric(model, **given, **options)))
    least_first, most_first = curves
    # Both curves begin with the picture and end without it, so the trapezoids are the mean of what is between.
    return x.new_tensor((least_first - most_first).mean(1))


def batches(*values: int) -> Mapping[str, Mapping[str, int]]:
    return {f"batch_size={value}": {"batch_size": value} for value in values}


def repeatable(w: Workload) -> Workload:
    """The workload with a network whose layers, drawn again, get parameters that are a function of their shape."""
    model = copy.deepcopy(w.model)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.__class__ = redrawn(type(module))
    return dataclasses.replace(w, model=model)


@cache
def redrawn(kind: type[nn.Module]) -> type[nn.Module]:
    def reset_parameters(module: nn.Module) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sum(p.numel() for p in module.parameters(recurse=False)))
            kind.reset_parameters(module)

    return type(kind.__name__, (kind,), {"reset_parameters": reset_parameters})
