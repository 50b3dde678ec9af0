"""What calls cost that no other library offers: seconds, passes and memory; `python -m benchmarks.costs` prints them.

The bars were written before the first run.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import resnet50

import xnb
from benchmarks.clock import peak_mib
from xnb.access.ledger import count_passes
from xnb.data import Part
from xnb.models import FastNet

METHODS = ("gradient", "gradient_times_input", "integrated_gradients", "smoothgrad", "grad_cam", "occlusion")
SECONDS = {  # bars, on two idle cores
    "lint": 60.0,
    "explain, six methods": 40.0,
    "explore": 10.0,
    "explain, eight methods on a photograph with a ResNet-50": 90.0,
    "compare, ten photographs with a ResNet-50": 600.0,
}
# of every kind that a residual network allows, at their defaults: some 650 inputs forward, 68 of them back
EIGHT = (
    "gradient",
    "integrated_gradients",
    "smoothgrad",
    "grad_cam",
    "lrp",
    "deep_lift",
    "occlusion",
    "kernel_shap",
)
COMPARED = ("gradient", "integrated_gradients", "grad_cam", "lrp", "occlusion")  # by the usual metrics, with controls
FEATURES = (1000, 4000, 16000)
PERTURBATION = ("feature_ablation", "kernel_shap", "rise", "lime")
MIB_A_FEATURE = 0.01  # bar: 160 MiB for 16,000 features; a matrix of features times features takes 1,000 or more
CHUNKS = (1, 4, 16)
MIB_AN_INPUT = 8.0  # bar: of `smoothgrad`, for each of the inputs of 3 x 64 x 64 that run together


def photograph(side: int, count: int = 1) -> Tensor:
    """Noise in [0, 1] in place of photographs, seeded; what a call costs does not depend on what is on them."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def list_calls(net: nn.Module, x: Tensor, names: tuple[str, ...] = METHODS) -> dict[str, Callable[[], object]]:
    """The calls whose seconds have a bar."""
    target = net(x).argmax(1)
    return {
        "lint": partial(xnb.lint, net, x),
        "explain, six methods": partial(xnb.explain, net, x, target, names),
        "explore": partial(xnb.widgets.explore, net, x),
    }


def explain_photograph(net: nn.Module, side: int = 224) -> xnb.Explanation:
    """Explain one input in place of a photograph by eight methods, at their defaults."""
    x = photograph(side)
    return xnb.explain(net, x, net(x).argmax(1), EIGHT)


def compare_photographs(net: nn.Module, side: int = 224, count: int = 10) -> pd.DataFrame:
    """Compare five methods and the controls on so many inputs in place of photographs, as a table that is kept."""
    part = Part(photograph(side, count), torch.zeros(count, dtype=torch.long))
    with TemporaryDirectory() as folder:
        return xnb.compare(net, part, COMPARED, path=Path(folder) / "table.parquet")


def measure_call(call: Callable[[], object]) -> dict[str, float]:
    """Seconds of one call, and the inputs that it runs forward and backward."""
    start = time.perf_counter()
    with count_passes() as passes:
        call()
    return {"seconds": time.perf_counter() - start, "forward": passes.forward, "backward": passes.backward}


def measure_features(name: str, sizes: tuple[int, ...] = FEATURES) -> dict[int, float]:
    """Peak memory in MiB of a method on one row of so many features, by their number."""
    _explain_row(name, sizes[0])()  # the first call of all loads what later ones share
    return {size: peak_mib(_explain_row(name, size), "cpu") for size in sizes}


def _explain_row(name: str, features: int) -> Callable[[], Tensor]:
    x = torch.randn(1, features, generator=torch.Generator().manual_seed(0))
    net = nn.Linear(features, 2).eval()
    return lambda: xnb.attribute(net, x, 1, name)


def measure_chunks(sizes: tuple[int, ...] = CHUNKS, side: int = 64) -> dict[int, float]:
    """Peak memory in MiB of `smoothgrad` by the inputs that run together."""
    x = photograph(side)
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 8, 3), nn.Flatten(), nn.LazyLinear(2)).eval()
    net(x)
    return {size: peak_mib(partial(xnb.attribute, net, x, 1, "smoothgrad", chunk=size), "cpu") for size in sizes}


def judge(value: float, bar: float) -> str:
    """Whether a cost stays within its bar."""
    return "met" if value <= bar else "missed"


def describe_seconds(name: str, cost: Mapping[str, float]) -> str:
    """The cost of a call as one line, with its verdict."""
    passes = f"{cost['forward']:.0f} forward, {cost['backward']:.0f} backward"
    return f"{name}: {cost['seconds']:.1f} s, {passes}; {judge(cost['seconds'], SECONDS[name])}"


def describe_memory(name: str, costs: Mapping[int, float], bar: float) -> str:
    """The peaks as one line; the largest size must stay within `bar` MiB for each unit of it."""
    largest = max(costs)
    peaks = ", ".join(f"{size}: {mib:.0f} MiB" for size, mib in costs.items())
    return f"{name}, {peaks}; {judge(costs[largest], bar * largest)}"


def list_lines() -> Iterator[str]:
    """Yield a line for each cost, as soon as it is measured."""
    net = FastNet().eval()
    for name, call in list_calls(net, photograph(224)).items():
        yield describe_seconds(name, measure_call(call))
    for name in PERTURBATION:
        yield describe_memory(f"{name} by features", measure_features(name), MIB_A_FEATURE)
    yield describe_memory("smoothgrad by chunk", measure_chunks(), MIB_AN_INPUT)
    residual = resnet50().eval()
    name = "explain, eight methods on a photograph with a ResNet-50"
    yield describe_seconds(name, measure_call(partial(explain_photograph, residual)))
    name = "compare, ten photographs with a ResNet-50"
    yield describe_seconds(name, measure_call(partial(compare_photographs, residual)))


if __name__ == "__main__":
    for line in list_lines():
        sys.stdout.write(line + "\n")
