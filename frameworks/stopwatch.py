"""The same stopwatch on both sides."""

import statistics
import time
from collections.abc import Callable

STEPS = 64  # of integrated gradients
ROUNDS = 5


def time_calls(call: Callable[[], object]) -> dict[str, float]:
    """Seconds of the first call, in which graphs are made, and the median of the next."""
    seconds = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return {"first": seconds[0], "median": statistics.median(seconds[1:])}
