"""Debugging information as PyTorch gives it: hooks, anomaly mode, a confusion of labels, TensorBoard."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter

from frameworks.planted import RATE, WIDTHS, Trial, draw_batches, plant
from xnb.types import Batch, Target


def build(trial: Trial) -> nn.Sequential:
    """The network with the weights that the trial begins with."""
    net = nn.Sequential()
    for name, (before, after) in WIDTHS.items():
        layer = nn.Linear(before, after)
        weight, bias = map(torch.from_numpy, trial.start[name])
        layer.load_state_dict({"weight": weight.T, "bias": bias})
        net.add_module(name, layer)
        if name != "head":
            net.add_module(name.replace("hidden", "relu"), nn.ReLU())
    return net


def train(net: nn.Module, trial: Trial) -> list[float]:
    """Train in place; the loss of each step."""
    x, y = torch.from_numpy(trial.x), torch.from_numpy(trial.y)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    losses = []
    for rows in draw_batches(len(x)):
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def find_dead_units(net: nn.Module, x: Batch) -> dict[str, float]:
    """Share of each ReLU's units that no input switches on."""
    dead = {}

    def watch(name: str) -> Callable:
        def note(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            dead[name] = (output <= 0).all(0).float().mean().item()

        return note

    relus = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.ReLU)]
    hooks = [module.register_forward_hook(watch(name)) for name, module in relus]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return dead


def find_bad_operation(net: nn.Module, x: Batch, y: Target) -> str:
    """The function in which anomaly mode sees NaN, under a loss written by hand; empty if there is none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Anomaly Detection has been enabled|Error detected in")
        try:
            with torch.autograd.detect_anomaly():
                probability = net(x).softmax(1).gather(1, y[:, None])
                loss = -probability.log().mean()
                loss.backward()
        except RuntimeError as error:
            return re.findall(r"Function '(\w+)'", str(error))[0]
    return ""


def find_label_shift(net: nn.Module, x: Batch, y: Target) -> int:
    """How far predictions most often lie from the labels, in digits; 0 where most are right."""
    with torch.no_grad():
        predicted = net(x).argmax(1)
    offsets = (predicted - y) % 10
    return int(offsets.bincount(minlength=10).argmax())


def write_events(net: nn.Module, x: Batch, losses: list[float], folder: Path) -> None:
    """Loss of each step and the first layer's outputs, for TensorBoard."""
    writer = SummaryWriter(str(folder))
    for step, loss in enumerate(losses):
        writer.add_scalar("loss", loss, step)
    with torch.no_grad():
        writer.add_histogram("hidden1", net.get_submodule("hidden1")(x), len(losses))
    writer.close()


def list_operations(net: nn.Module) -> list[str]:
    """What the network calls, in order, as `torch.fx` traces it."""
    graph = torch.fx.symbolic_trace(net).graph
    return [str(node.target) for node in graph.nodes]


class Debugged(NamedTuple):
    """A training with a planted bug: the network, its losses, and what each tool found."""

    net: nn.Module
    losses: list[float]
    found: dict


def debug(bug: str, question: dict[str, np.ndarray]) -> Debugged:
    """Train with one bug, and ask every tool about it."""
    trial = plant(bug, question["x"], question["y"])
    net = build(trial)
    bad = find_bad_operation(net, torch.from_numpy(trial.x[:64]), torch.from_numpy(trial.y[:64]))
    losses = train(net, trial)
    net.eval()
    # The test pictures come the way the training's do, but their labels are right.
    x = torch.from_numpy(plant(bug, question["test x"], question["test y"]).x)
    shift = find_label_shift(net, x, torch.from_numpy(question["test y"]))
    found = {"dead": find_dead_units(net, x), "bad operation": bad, "label shift": shift}
    return Debugged(net, losses, found)
