"""Three bugs planted in the training of a small network on digits: numpy alone, so that both sides can run it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BUGS = ("none", "dead ReLU", "unscaled input", "shifted labels")
RATE = 0.1
WIDTHS = {"hidden1": (64, 32), "hidden2": (32, 16), "head": (16, 10)}


class Trial(NamedTuple):
    """What a training begins with: inputs `(n, 64)`, labels, and for each layer its weight (in, out) and bias."""

    x: np.ndarray
    y: np.ndarray
    start: dict[str, list[np.ndarray]]


def plant(bug: str, x: np.ndarray, y: np.ndarray) -> Trial:
    """The data and the first weights, with one bug or none.

    "dead ReLU": the first hidden layer's biases start at -10, where no unit ever fires. "unscaled input": numbers from
    0 to 255 and not from 0 to 1. "shifted labels": each label is the next digit's, 0 for 9.
    """
    start = draw_start()
    if bug == "dead ReLU":
        start["hidden1"][1] -= 10
    if bug == "unscaled input":
        x = x * 255
    if bug == "shifted labels":
        y = (y + 1) % 10
    return Trial(x.astype(np.float32), y, start)


def draw_start() -> dict[str, list[np.ndarray]]:
    """Uniform weights by the rule of He et al. 2015, and biases of zero: the same on both sides."""
    draws = np.random.default_rng(0)
    start = {}
    for name, (before, after) in WIDTHS.items():
        bound = (6 / before) ** 0.5
        weight = draws.uniform(-bound, bound, (before, after)).astype(np.float32)
        start[name] = [weight, np.zeros(after, np.float32)]
    return start


def draw_batches(count: int, epochs: int = 8, size: int = 64) -> Iterator[np.ndarray]:
    """Rows of each batch, in the same order on both sides."""
    draws = np.random.default_rng(1)
    for _ in range(epochs):
        order = draws.permutation(count)
        for begin in range(0, count - size + 1, size):
            yield order[begin : begin + size]
