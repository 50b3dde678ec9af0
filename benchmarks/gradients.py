"""Rows of methods that ask for slopes: once, along a path, under noise."""

from collections.abc import Mapping
from functools import partial

import captum.attr
import torch
from torch import Tensor, nn

import xnb
from benchmarks.cases import Case, Peer, in_double, method, row
from benchmarks.peers import captum_asks, captum_cam, captum_noise, sizes, zennit_asks
from benchmarks.workloads import SPAN, Workload

STEPS = 50
FLIPS = 2e-3  # single ReLUs within rounding of zero, over 50 steps; see xnb.prepare
ONCE = {"cnn32": {"prepared/default": 0.70, "plain/default": 1.0}, "uneven": {"plain/default": 1.0}}
MANY = {
    "cnn32": {
        "prepared/default": 0.58,
        "prepared/best": 0.90,
        "plain/default": 0.70,
        "plain/best": 1.0,
        "memory": 0.15,
    },
    "vit32": {"prepared/default": 0.72, "memory": 0.10},
    "mlp": {"prepared/default": 0.12, "prepared/best": 0.35},
}


def once(w: Workload, name: str, kind: str, **fixed: object) -> Case:
    peer = Peer("captum", captum_asks(w, kind, **fixed), ONCE.get(w.name, {}))
    return Case(method(name), (peer,), (0, len(w.x)), referee=in_double(w, method(name)))


@row("gradient", cnn32=32, resnet18=4, uneven=24, vit32=32, mlp=256)
def gradient(w: Workload) -> Case:
    return once(w, "gradient", "Saliency", abs=False)


@row("gradient_times_input", cnn32=32, mlp=256)
def gradient_times_input(w: Workload) -> Case:
    return once(w, "gradient_times_input", "InputXGradient")


@row("guided_backprop", cnn32=32, uneven=24, mlp=256)
def guided_backprop(w: Workload) -> Case:
    case = once(w, "guided_backprop", "GuidedBackprop")
    zennit = Peer("zennit", lambda: zennit_asks(w, w.model, "GuidedBackprop"))
    return Case(case.ours, (*case.peers, zennit), case.passes, referee=case.referee)


@row("deconvnet", cnn32=32)
def deconvnet(w: Workload) -> Case:
    return once(w, "deconvnet", "Deconvolution")


def internal(w: Workload) -> dict[str, dict[str, int]]:
    rows, pictures, large = (512, 2048, 4096), (16, 32, 64), (4, 16)
    return sizes("internal_batch_size", rows if w.x.ndim == 2 else large if w.name == "resnet18" else pictures)


@row("integrated_gradients", cnn32=8, resnet18=1, vit32=4, mlp=256)
def integrated_gradients(w: Workload) -> Case:
    peer = Peer("captum", captum_asks(w, "IntegratedGradients", n_steps=STEPS), MANY.get(w.name, {}), internal(w))
    ours = method("integrated_gradients", steps=STEPS)
    return Case(ours, (peer,), (0, STEPS * len(w.x)), tolerance=FLIPS, referee=in_double(w, ours))


@row("smoothgrad", cnn32=8, vit32=4, mlp=256)
def smoothgrad(w: Workload) -> Case:
    return noisy(w, "smoothgrad", MANY[w.name])


@row("vargrad", cnn32=8)
def vargrad(w: Workload) -> Case:
    return noisy(w, "vargrad", {})


def noisy(w: Workload, name: str, goals: Mapping[str, float]) -> Case:
    peer = Peer("captum", captum_noise(w, name, 0.1 * SPAN, STEPS), goals, nt_batches(w))
    ours = method(name, samples=STEPS, sigma=0.1)
    truth = method(name, samples=20 * STEPS, sigma=0.1, seed=1)
    return Case(ours, (peer,), (0, STEPS * len(w.x)), tolerance=None, referee=in_double(w, truth, 1))


def nt_batches(w: Workload) -> dict[str, dict[str, int]]:
    return sizes("nt_samples_batch_size", (2, 8, 16) if w.x.ndim == 2 else (1, 2, 4, 8))


@row("expected_gradients", cnn32=8)
def expected_gradients(w: Workload) -> Case:
    start = torch.cat([torch.zeros_like(w.x[:1]), w.x.flip(0)[:3]])
    peer = Peer("captum", captum_asks(w, "GradientShap", baselines=start, n_samples=STEPS))

    def ours(model: nn.Module, x: Tensor, target: Tensor, samples: int = STEPS, seed: int = 0) -> Tensor:
        knobs = {"baseline": start.to(x.dtype), "samples": samples, "seed": seed}
        return method("expected_gradients", **knobs)(model, x, target)

    def truth(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return ours(model, x, target, 20 * STEPS, 1)

    return Case(ours, (peer,), (0, STEPS * len(w.x)), tolerance=None, referee=in_double(w, truth, 1))


@row("integrated_gradients to a gap of 1 %", cnn32=8, mlp=64)
def to_a_gap(w: Workload) -> Case:
    """Captum takes the fewest steps with which every input reaches the gap; finding them is not timed.

    Both sums are then right to 1 %; single values are not, and differ between the two by far more.
    """
    ours = method("integrated_gradients", steps=4096, tolerance=0.01)
    run = partial(captum_asks(w, "IntegratedGradients"), n_steps=fewest_steps(w))
    peer = Peer("captum", run, {"prepared/default": 0.70}, internal(w))
    reference = method("integrated_gradients", steps=1000)
    return Case(ours, (peer,), tolerance=0.5, referee=in_double(w, reference, 1))


def fewest_steps(w: Workload) -> int:
    """Doubling, then halving the interval; the gap falls with the steps but for a ripple."""
    integrated = captum.attr.IntegratedGradients(w.model)
    with torch.no_grad():
        change = (w.model(w.x) - w.model(torch.zeros_like(w.x))).gather(1, w.target[:, None])[:, 0]

    def enough(steps: int) -> bool:
        found = integrated.attribute(w.x, target=w.target, n_steps=steps, internal_batch_size=64)
        return bool(((found.flatten(1).sum(1) - change).abs() <= 0.01 * change.abs()).all())

    high = 4
    while not enough(high) and high < 4096:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@row("attribute_all", cnn32=8)
def every_class(w: Workload) -> Case:
    classes = w.model(w.x[:1]).shape[1]
    saliency = captum.attr.Saliency(w.model)

    def one_by_one() -> Tensor:
        found = [saliency.attribute(w.x, target=c, abs=False) for c in range(classes)]
        return torch.stack(found, 1).detach()

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return xnb.attribute_all(model, x, "gradient")

    return Case(ours, (Peer("captum", one_by_one),), (0, classes * len(w.x)))


@row("prediction, gradient, gradient_times_input, grad_cam", cnn32=32, resnet18=4)
def together(w: Workload) -> Case:
    names = ("gradient", "gradient_times_input", "grad_cam")

    def ours(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        found = xnb.explain(model, x, target, names, knobs={"grad_cam": {"layer": w.layer}})
        return torch.cat([found.attributions[name].expand_as(x) for name in names], 1)

    def theirs() -> Tensor:
        with torch.no_grad():
            w.model(w.x)
        maps = [captum_asks(w, "Saliency", abs=False)(), captum_asks(w, "InputXGradient")(), captum_cam(w)]
        return torch.cat([found.expand_as(w.x) for found in maps], 1)

    peer = Peer("captum", theirs, {"prepared/default": 0.28})
    return Case(ours, (peer,), (0, len(w.x)), referee=in_double(w, ours))
