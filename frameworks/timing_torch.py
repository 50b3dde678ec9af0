"""Seconds of integrated gradients in PyTorch: as a user writes it, and by `xnb` on either network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

import xnb
from frameworks import keras_side, torch_side
from frameworks.stopwatch import STEPS, time_calls
from xnb.data import Part


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let PyTorch use that many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(part: Part) -> dict[str, dict[str, float]]:
    """Times of the convolutional network's maps, on one thread."""
    x, y = part.x, part.y
    net = torch_side.load("cnn")
    networks = {"xnb": net, "xnb, prepared": xnb.prepare(net), "xnb, Keras on PyTorch": keras_side.load("cnn")}
    knobs = {"baseline": 0.5, "steps": STEPS}
    with use_threads(1):
        times = {"PyTorch, a loop": time_calls(lambda: torch_side.integrated_gradients(net, x, y, **knobs))}
        for name, model in networks.items():
            times[name] = time_calls(lambda m=model: xnb.attribute(m, x, y, "integrated_gradients", **knobs))
    return times
