"""Two networks in PyTorch, and three explanations as a user of PyTorch writes them."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb import data, storage
from xnb.data import Part, Split
from xnb.types import Attribution, Batch, Target

FOLDER = Path(__file__).parent


def make_mlp() -> nn.Sequential:
    """Two hidden layers on digits of 8 x 8; 2,778 parameters."""
    net = nn.Sequential()
    net.add_module("flatten", nn.Flatten())
    net.add_module("hidden1", nn.Linear(64, 32))
    net.add_module("relu1", nn.ReLU())
    net.add_module("hidden2", nn.Linear(32, 16))
    net.add_module("relu2", nn.ReLU())
    net.add_module("head", nn.Linear(16, 10))
    return net


def make_cnn() -> nn.Sequential:
    """Three convolutions with batch norm, two of them with stride 2, on pictures of 24 x 24; 6,342 parameters.

    What comes last is flattened, not averaged: so the order of its values matters.
    """
    net = nn.Sequential()
    for number, before, after, stride in ((1, 3, 8, 1), (2, 8, 12, 2), (3, 12, 16, 2)):
        net.add_module(f"conv{number}", nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False))
        net.add_module(f"norm{number}", nn.BatchNorm2d(after))
        net.add_module(f"relu{number}", nn.ReLU())
    net.add_module("flatten", nn.Flatten())
    net.add_module("head", nn.Linear(16 * 6 * 6, 6))
    return net


MAKERS = {"mlp": make_mlp, "cnn": make_cnn}
BASELINES = {"mlp": 0.0, "cnn": 0.5}  # black paper behind digits, grey behind shapes


def load(name: str) -> nn.Sequential:
    """The trained network, in evaluation mode."""
    net = MAKERS[name]().eval()
    storage.load_weights(net, FOLDER / f"{name}.safetensors")
    return net


def load_split(name: str) -> Split:
    """What the network was trained on."""
    return data.digits() if name == "mlp" else data.shapes(24, n=(4000, 500))


def load_inputs(name: str, count: int) -> Part:
    """The inputs that all sides explain: the first of the test part."""
    split = data.digits() if name == "mlp" else data.shapes(24, n=(0, 500))
    return split.test[:count]


def gradient(model: nn.Module, x: Batch, target: Target) -> Attribution:
    """Gradient of each input's target logit."""
    x = x.detach().requires_grad_()
    logits = model(x)
    score = logits.gather(1, target[:, None]).sum()
    (slope,) = torch.autograd.grad(score, x)
    return slope


def integrated_gradients(
    model: nn.Module,
    x: Batch,
    target: Target,
    baseline: float,
    steps: int = 64,
) -> Attribution:
    """Gradient averaged along the path from the baseline, at the nodes of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    start = torch.full_like(x, baseline)
    total = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        between = start + float(node) * (x - start)
        total += float(weight) * gradient(model, between, target)
    return (x - start) * total


def grad_cam(model: nn.Module, x: Float[Tensor, "B C H W"], target: Target) -> Float[Tensor, "B 1 H W"]:
    """Grad-CAM of `relu3`, whose output a forward hook keeps."""
    outputs = []
    hook = model.get_submodule("relu3").register_forward_hook(lambda module, inputs, output: outputs.append(output))
    score = model(x).gather(1, target[:, None]).sum()
    hook.remove()
    (maps,) = outputs
    (slope,) = torch.autograd.grad(score, maps)
    weights = slope.mean((2, 3), keepdim=True)
    cam = (weights * maps).sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)


def explain(name: str, count: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Logits and maps of a network for its first test inputs."""
    net, part = load(name).to(dtype), load_inputs(name, count)
    x, y = part.x.to(dtype), part.y
    answer = {"logits": net(x), "gradient": gradient(net, x, y)}
    answer["integrated gradients"] = integrated_gradients(net, x, y, BASELINES[name])
    if name == "cnn":
        answer["Grad-CAM"] = grad_cam(net, x, y)
    return {what: values.detach() for what, values in answer.items()}
