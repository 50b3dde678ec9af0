"""What a comparison will cost, measured on a few inputs before it is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple

import torch

from xnb.access.ledger import count_passes
from xnb.access.memory import measure_peak_memory
from xnb.check import require
from xnb.comparison.blocks import measure_block
from xnb.comparison.plan import USUAL_METHODS, USUAL_METRICS, Plan, Selection, make_plan
from xnb.progress import hide_progress
from xnb.scale.threads import use_threads
from xnb.types import Model

_STARTING_SECONDS = 5.0  # of a worker: torch and the package are imported


@dataclass(frozen=True)
class Cost:
    """What a run is expected to take.

    Attributes:
        images: explained, by all models together.
        forward: passes of all of them; with `backward` they do not depend on the machine.
        backward: likewise.
        seconds: of the whole run, on a machine as this one is now; other work beside it takes longer.
        mib: most memory of a process above what it has before the work begins; of workers, of each.
        workers: that share the work; 0 is this process.
    """

    images: int
    forward: float
    backward: float
    seconds: float
    mib: float
    workers: int

    def __str__(self) -> str:
        """Write it in one line."""
        place = f"{self.workers} workers" if self.workers else "this process"
        passes = f"{self.forward:,.0f} forward and {self.backward:,.0f} backward passes"
        return f"{self.images:,} inputs, {passes}, {_write_time(self.seconds)} in {place}, {self.mib:,.0f} MiB"


class Measured(NamedTuple):
    """What a block of some size took."""

    images: int
    forward: float
    backward: float
    seconds: float
    mib: float


def estimate_cost(
    model: Model | Sequence[Model],
    data: object,
    methods: Selection = USUAL_METHODS,
    metrics: Selection = USUAL_METRICS,
    *,
    workers: int = 0,
    pilot: int = 4,
    **settings: Any,
) -> Cost:
    """Measure a few inputs as `xnb.compare` would, and say what all of them will cost.

    A block of one input and a block of `pilot` inputs are run in full; what grows from one to the other grows on, to
    a block of `batch` inputs: seconds, passes and memory. It misleads where inputs differ in cost, and where other
    work begins on the machine after the pilot.

    Args:
        model, data, methods, metrics: of the comparison.
        workers: processes of one thread that share the blocks; 0 stands for this process with its threads.
        pilot: inputs of the larger of the two blocks.
        settings: all other arguments of `xnb.compare` but `path`, `shard` and `client`.

    Raises:
        ValueError: as `xnb.compare`; `pilot` is less than two inputs, or `workers` is negative.
    """
    require(workers >= 0, "estimate_cost: workers must be a number of processes, 0 for none", workers, "workers=2")
    require(pilot >= 2, "estimate_cost: pilot must be at least 2 inputs", pilot, "pilot=4")
    models = [model] if callable(model) else model
    plan = make_plan(models, data, methods, metrics, **settings)
    with use_threads(1 if workers else torch.get_num_threads()), hide_progress():
        _run_pilot(plan, 0, 1)  # what is loaded and compiled at first use is no part of what follows
        costs = [_measure_model(plan, number, pilot) for number in range(len(models))]
    count = len(plan.images)
    seconds = sum(cost.seconds for cost in costs)
    if workers:
        seconds = share_seconds(seconds, len(plan.blocks()), workers)
    return Cost(
        images=count * len(models),
        forward=sum(cost.forward for cost in costs),
        backward=sum(cost.backward for cost in costs),
        seconds=seconds,
        mib=max(cost.mib for cost in costs),
        workers=workers,
    )


def share_seconds(seconds: float, blocks: int, workers: int) -> float:
    """Return the time until the last worker is done: blocks are not divided."""
    rounds = ceil(blocks / workers)
    return _STARTING_SECONDS + seconds * rounds / blocks


def _measure_model(plan: Plan, number: int, pilot: int) -> Measured:
    """Return what all inputs of one model will take."""
    count = len(plan.images)
    sizes = [min(plan.batch, count - start) for start in range(0, count, plan.batch)]
    small = _run_pilot(plan, number, 1)
    large = _run_pilot(plan, number, min(pilot, plan.batch, count))
    totals = [extend_block(small, large, size) for size in sizes]
    return Measured(
        count,
        sum(total.forward for total in totals),
        sum(total.backward for total in totals),
        sum(total.seconds for total in totals),
        max(total.mib for total in totals),
    )


def extend_block(small: Measured, large: Measured, size: int) -> Measured:
    """Return what a block of so many inputs takes, on the line through two blocks that were run."""
    if small.images == large.images:
        return small
    grown = (size - small.images) / (large.images - small.images)
    values = [max(a, a + grown * (b - a)) for a, b in zip(small[1:], large[1:], strict=True)]
    return Measured(size, *values)


def _run_pilot(plan: Plan, number: int, size: int) -> Measured:
    """Run a block of the first inputs in full, and throw its values away."""
    block = plan.read_block(number, slice(0, size))
    metrics = {method: list(plan.functions.metrics) for method in plan.functions.methods}
    device = torch.device("cpu") if block.part is None else block.part.x.device
    with count_passes() as passes, measure_peak_memory(device) as peak:
        began = perf_counter()
        measure_block(plan.functions, block, metrics)
        seconds = perf_counter() - began
    return Measured(size, float(passes.forward), float(passes.backward), seconds, peak.mib)


def _write_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{seconds:.1f} s"
