"""Time against inputs, steps, samples and regions: on logarithmic axes a line, whose slope is 1 if cost is linear."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from torch import Tensor

import xnb
from benchmarks.clock import Clock
from benchmarks.workloads import Workload, load, rectangles

GOAL = 1.1
REPEATS = 3
Task = Callable[[Workload, int], Callable[[], Tensor]]  # (workload, size) -> the call


def ask(w: Workload, name: str, inputs: int, **knobs: object) -> Callable[[], Tensor]:
    x, target = w.x[:inputs], w.target[:inputs]
    return lambda: xnb.attribute(w.prepared, x, target, name, **knobs)


def squares(w: Workload, cells: int) -> Tensor:
    """`cells` equal rectangles, a power of two of them."""
    rows = 2 ** (int(math.log2(cells)) // 2)
    return rectangles(w, rows, cells // rows)


TASKS: dict[str, tuple[str, tuple[int, ...], Task]] = {
    "gradient": ("inputs", (16, 32, 64, 128), lambda w, n: ask(w, "gradient", n)),
    "integrated_gradients, 8 inputs": (
        "steps",
        (4, 8, 16, 32),
        lambda w, n: ask(w, "integrated_gradients", 8, steps=n),
    ),
    "integrated_gradients, 16 steps": (
        "inputs",
        (2, 4, 8, 16),
        lambda w, n: ask(w, "integrated_gradients", n, steps=16),
    ),
    "kernel_shap, 32 regions": (
        "samples",
        (64, 128, 256, 512),
        lambda w, n: ask(w, "kernel_shap", 1, samples=n, regions=squares(w, 32)),
    ),
    "kernel_shap, 4 samples a region": (
        "regions",
        (16, 32, 64, 128),
        lambda w, n: ask(w, "kernel_shap", 1, samples=4 * n, regions=squares(w, n)),
    ),
    "feature_ablation": (
        "regions",
        (16, 32, 64, 128),
        lambda w, n: ask(w, "feature_ablation", 2, regions=squares(w, n)),
    ),
    "occlusion, 49 windows": ("inputs", (1, 2, 4, 8), lambda w, n: ask(w, "occlusion", n, window=8, stride=4)),
    "occlusion, tiles": (
        "windows",
        (16, 64, 256),
        lambda w, n: ask(w, "occlusion", 2, window=w.x.shape[-1] // math.isqrt(n)),
    ),
}


def grow(clock: Clock, *, tiny: bool = False, figure: Path | None = None) -> dict[str, dict]:
    """Sizes, seconds and slope of every task on cnn32, drawn into `figure`."""
    w = load("cnn32", 128, tiny=tiny, device=clock.device)
    found = {name: curve(w, sizes, task, clock) | {"of": of} for name, (of, sizes, task) in TASKS.items()}
    if figure is not None:
        draw(found, figure)
    return found


def curve(w: Workload, sizes: tuple[int, ...], task: Task, clock: Clock) -> dict[str, object]:
    """Least seconds of some calls at each size, and the slope through them."""
    calls = [task(w, size) for size in sizes]
    for call in calls[:1]:
        call()
    seconds = [min(clock.seconds(call) for _ in range(REPEATS)) for call in calls]
    return {"sizes": list(sizes), "seconds": seconds, "slope": slope(sizes, seconds), "goal": GOAL}


def slope(sizes: tuple[int, ...] | list[int], seconds: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(found: Mapping[str, Mapping], path: Path) -> None:
    fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    lines(ax, found)
    fig.savefig(path, dpi=120)
    plt.close(fig)


def lines(ax: Axes, found: Mapping[str, Mapping]) -> None:
    """A line a task, by the multiple of its smallest size, with marker and colour of its own."""
    palette = sns.color_palette("colorblind")
    for (name, task), colour, marker in zip(found.items(), palette, "osD^v<>P", strict=False):
        times = np.divide(task["sizes"], task["sizes"][0])
        label = f"{name}, by {task['of']}: slope {task['slope']:.2f}"
        ax.loglog(times, np.divide(task["seconds"], task["seconds"][0]), marker=marker, color=colour, label=label)
    ends = np.array([1, 16])
    ax.loglog(ends, ends, color="black", linestyle=":", label="linear: slope 1")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(2))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(NullLocator())
    ax.set(xlabel="size, in multiples of the smallest", ylabel="time, in multiples of the smallest size's")
    ax.set_title("Cost grows linearly, or more slowly where a call has a fixed part")
    ax.legend(fontsize="small", frameon=False)
