"""One case measured: seconds, memory and errors of every variant."""

import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case, bare_limit
from benchmarks.clock import Clock, Run, in_turn, peak_mib
from benchmarks.workloads import Workload
from xnb.access.attention.attention_capture import relative_distance

FINALISTS = 2  # settings of a peer, besides its default, that go from the warm-up into the timed rounds


@dataclass(frozen=True)
class Plan:
    """How to measure."""

    rounds: int
    clock: Clock
    extra: bool = False  # also torch.compile and bfloat16


def measure(w: Workload, case: Case, plan: Plan) -> dict[str, object]:
    """Everything about a case that can be written to JSON: numbers by variant, `xnb plain`, `captum default`, ..."""
    with warnings.catch_warnings(), seeded_draws(0):
        warnings.simplefilter("ignore")  # Captum announces its hooks at every call
        runs, failed = variants(w, case, plan.extra), {}
        results, first = warm_up(runs, plan.clock, failed)
        runs = finalists(runs, first, case)
        seconds = in_turn(runs, plan.rounds, plan.clock, first)
        memory = {name: peak_mib(run, plan.clock.device) for name, run in runs.items() if name != "limit"}
    return {
        "inputs": len(w.x),
        "seconds": seconds,
        "warm_up_seconds": first,
        "peak_mib": memory,
        "failed": failed,
        **compare(case, results),
    }


@contextmanager
def seeded_draws(seed: int) -> Iterator[None]:
    """Seed the global generators, which other libraries draw from: torch's, and NumPy's for Captum's GradientShap."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002, the one that Captum uses
        yield


def variants(w: Workload, case: Case, extra: bool = False) -> dict[str, Run]:
    """Every call of a case by name; ours and the limit first."""
    forms = {"plain": (w.model, w.x), "prepared": (w.prepared, w.x)}
    if extra:
        forms["compiled"] = (torch.compile(w.prepared), w.x)
        forms["bfloat16"] = (w.half, w.x.bfloat16())
    runs: dict[str, Run] = {f"xnb {form}": partial(case.ours, *inputs, w.target) for form, inputs in forms.items()}
    if case.passes is not None:
        runs["limit"] = partial(bare_limit, w, *case.passes)
    for peer in case.peers:
        runs |= {f"{peer.name} {setting}": run for setting, run in peer.variants().items()}
    return runs


def warm_up(runs: Mapping[str, Run], clock: Clock, failed: dict[str, str]) -> tuple[dict[str, Tensor], dict]:
    """Results and seconds of a first call of each; what is optional may fail, and is left out then."""
    results, first = {}, {}
    for name, run in runs.items():
        returned: list[object] = []
        try:
            first[name] = clock.seconds(lambda run=run, returned=returned: returned.append(run()))
        except Exception as error:  # libraries fail in many ways
            if required(name):
                raise
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        results[name] = returned[0]
    return results, first


def required(name: str) -> bool:
    return name in {"xnb plain", "xnb prepared", "limit"} or name.endswith(" default")


def finalists(runs: Mapping[str, Run], first: Mapping[str, float], case: Case) -> dict[str, Run]:
    """Without the settings that were clearly slower in the warm-up."""
    dropped = set()
    for peer in case.peers:
        names = [name for name in first if name.startswith(f"{peer.name} ") and not required(name)]
        dropped |= set(sorted(names, key=first.get)[FINALISTS:])
    return {name: run for name, run in runs.items() if name in first and name not in dropped}


def compare(case: Case, results: Mapping[str, Tensor]) -> dict[str, object]:
    """Differences of ours from each peer, and errors of both against the referee."""
    ours = {name: value for name, value in results.items() if name.startswith("xnb")}
    difference = {
        peer.name: {name: largest(peer.view(value), results[f"{peer.name} default"]) for name, value in ours.items()}
        for peer in case.peers
    }
    return {"difference": difference, "error": errors(case, results, ours) if case.referee else {}}


def errors(case: Case, results: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, float]:
    """Of ours and each peer's default against the referee, in each peer's convention."""
    truth = case.referee()
    norm: Callable[[Tensor, Tensor], float] = largest if case.tolerance is not None else root_mean_square
    found = {name: norm(value[: len(truth)].double(), truth) for name, value in ours.items()}
    for peer in case.peers:
        found[peer.name] = norm(results[f"{peer.name} default"][: len(truth)].double(), peer.view(truth))
    return found


def largest(a: Tensor, b: Tensor) -> float:
    """max|a - b| / max|b|, in double precision."""
    return relative_distance(a.double(), b.double())


def root_mean_square(a: Tensor, b: Tensor) -> float:
    """Root mean square of a - b, relative to that of b."""
    return math.sqrt(float((a - b).square().mean() / b.square().mean()))


def median_ratio(seconds: Mapping[str, list[float]], ours: str, theirs: str) -> tuple[float, float, float]:
    """Ratio of the medians, and the quartiles of the ratios within each round."""
    ratio = statistics.median(seconds[ours]) / statistics.median(seconds[theirs])
    paired = [a / b for a, b in zip(seconds[ours], seconds[theirs], strict=True)]
    low, _, high = statistics.quantiles(paired, n=4, method="inclusive") if len(paired) > 1 else paired * 3
    return ratio, low, high
