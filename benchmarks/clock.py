"""Time and memory of calls. What is compared runs in turn, so that whatever else the machine does hits all alike."""

import ctypes
import gc
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from xnb.access.memory import measure_peak_memory

Run = Callable[[], object]
SHORTEST = 0.02  # seconds: what is faster is timed several times in a row, as `timeit` does
LEAST = 1e-4  # below it a first call says nothing


@dataclass(frozen=True)
class Clock:
    """Wall time, or on a busy machine processor time, which only says something with one thread."""

    now: Callable[[], float] = time.perf_counter
    device: str = "cpu"

    def seconds(self, run: Run, repeats: int = 1) -> float:
        """Mean of `repeats` calls in a row."""
        gc.collect()
        self.wait()
        start = self.now()
        for _ in range(repeats):
            run()
        self.wait()
        return (self.now() - start) / repeats

    def wait(self) -> None:
        """An accelerator has only been told what to do when a call returns."""
        if self.device != "cpu":
            torch.accelerator.synchronize()


def in_turn(runs: Mapping[str, Run], rounds: int, clock: Clock, first: Mapping[str, float]) -> dict[str, list[float]]:
    """Seconds of every run in every round; every other round goes backwards, so that no one always comes first.

    `first` are the seconds of a call before, from which follows how often a short one is repeated.
    """
    repeats = {name: max(1, int(SHORTEST / max(first[name], LEAST))) for name in runs}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in order(runs, number):
            seconds[name].append(clock.seconds(runs[name], repeats[name]))
    return seconds


def order(names: Iterable[str], number: int) -> list[str]:
    return list(names) if number % 2 == 0 else list(names)[::-1]


def peak_mib(run: Run, device: str) -> float:
    """Most memory of one call above what was resident before, in MiB.

    Linux' high-water mark of the process is reset before the call; glibc first gives back what it keeps for later,
    so that a call cannot hide in what another left. Good to some MiB. On an accelerator, torch's own count.
    """
    gc.collect()
    trim()
    with measure_peak_memory(torch.device(device)) as peak:
        run()
    return peak.mib


def trim() -> None:
    """Give free memory back to the system, where the C library can."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
