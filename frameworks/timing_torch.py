"""Seconds of integrated gradients in PyTorch: as a user writes it, and by `xnb` on either network."""

import xnb
from frameworks import keras_side, torch_side
from frameworks.stopwatch import STEPS, time_calls
from xnb.data import Part
from xnb.scale.threads import use_threads


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
