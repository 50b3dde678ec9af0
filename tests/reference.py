"""Each method again, slowly and the way its paper writes it. Nothing here is imported from xnb.methods."""

import numpy as np
import torch
from skimage.filters import sobel
from torch import nn
from torch.nn import functional as F


@torch.no_grad()
def gradient(model, x, target):
    """Backward pass by hand through a chain of Linear, Conv2d, Flatten and ReLU."""
    inputs = []
    for layer in model:
        inputs.append(x)
        x = layer(x)
    back = F.one_hot(target, x.shape[1]).to(x)
    for layer, x in zip(reversed(model), reversed(inputs), strict=True):
        match layer:
            case nn.Linear():
                back = back @ layer.weight
            case nn.Conv2d():
                back = F.conv_transpose2d(back, layer.weight, padding=layer.padding)
            case nn.Flatten():
                back = back.reshape(x.shape)
            case nn.ReLU():
                back = back * (x > 0)
    return back


def gradient_times_input(model, x, target):
    return gradient(model, x, target) * x


def integrated_gradients(model, x, target, *, steps):
    """Riemann sum of the paper's equation 3, one input at a time, at midpoints."""
    total = torch.zeros_like(x)
    for i in range(len(x)):
        for k in range(steps):
            total[i] += gradient(model, x[i : i + 1] * (k + 0.5) / steps, target[i : i + 1])[0] / steps
    return x * total


@torch.no_grad()
def occlusion(model, x, target, *, window, stride):
    out = torch.zeros(len(x), 1, *x.shape[2:], dtype=x.dtype)
    for i in range(len(x)):
        drops = {(r, c): [] for r in range(6) for c in range(6)}
        for top in range(0, 6 - window + 1, stride):
            for left in range(0, 6 - window + 1, stride):
                painted = x[i].clone()
                painted[:, top : top + window, left : left + window] = 0
                drop = (model(x[i][None]) - model(painted[None]))[0, target[i]]
                for r in range(top, top + window):
                    for c in range(left, left + window):
                        drops[r, c].append(drop)
        for (r, c), of_pixel in drops.items():
            out[i, 0, r, c] = torch.stack(of_pixel).mean()
    return out


def edges(x):
    """Sobel as scikit-image computes it, on the grey picture: its differences span two pixels."""
    grey = x.mean(1).numpy()
    strength = [np.hypot(sobel(g, axis=0, mode="nearest"), sobel(g, axis=1, mode="nearest")) / 2 for g in grey]
    return torch.tensor(np.stack(strength))[:, None]


# Methods on attention, as their papers write them, for one input: weights (h, N, N) and gradients of each layer, and
# `read`, the row that says how much of each token the model reads in the end.


def rollout(weights, read):
    total = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype)
    for layer in weights:
        mixed = sum(head + torch.eye(len(head), dtype=head.dtype) for head in layer)
        total = torch.stack([row / row.sum() for row in mixed]) @ total
    return read @ total


def chefer(weights, gradients, read):
    identity = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype)
    total = identity
    for layer, gradient_there in zip(weights, gradients, strict=True):
        raising = sum((a * g).clamp(min=0) for a, g in zip(layer, gradient_there, strict=True)) / len(layer)
        total = total + raising @ total
    return read @ (total - identity)


def attention_flow(weights, read):
    """Maximum flow by networkx, from a source that is as wide as what is read."""
    import networkx

    graph = networkx.DiGraph()
    for token, share in enumerate(read.tolist()):
        graph.add_edge("source", (len(weights), token), capacity=share)
    for number, layer in enumerate(weights):
        for i, row in enumerate((layer.mean(0) + torch.eye(layer.shape[-1])) / 2):
            for j, width in enumerate(row.tolist()):
                graph.add_edge((number + 1, i), (number, j), capacity=width)
    sinks = [(0, token) for token in range(weights[0].shape[-1])]
    return torch.tensor([networkx.maximum_flow_value(graph, "source", sink) for sink in sinks], dtype=torch.double)


def legrad(model, x, target, capture_attention):
    """One forward and one backward for each layer, on its own."""
    total = 0
    for depth in range(1, len(model.blocks) + 1):
        with capture_attention(model) as layers, torch.enable_grad():
            state = model.tokens(x)
            for block in model.blocks[:depth]:
                state = block(state)
            score = model.readout(state)[0, target]
            (gradient_there,) = torch.autograd.grad(score, layers[-1].weights)
        total = total + gradient_there[0].clamp(min=0).mean((0, 1))
    return total / len(model.blocks)
