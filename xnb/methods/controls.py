"""Controls: maps that do not depend on the model. An explanation that does not beat them explains nothing."""

import torch
from torch.nn import functional as F

from xnb.access.draws import make_generator
from xnb.check import require
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

_SOBEL = [
    [-1.0, 0.0, 1.0],
    [-2.0, 0.0, 2.0],
    [-1.0, 0.0, 1.0],
]


@method(family="control", needs="nothing", cost="none", paper="control")
def random(model: Model, x: Batch, target: Target, *, seed: int = 0) -> Attribution:
    """Gaussian noise, the same for every input: what an explanation of nothing looks like. Unit: none.

    Args:
        seed: seeds a generator of its own; the global one is left alone.
    """
    rng = make_generator("random map", seed, x.device)
    noise = torch.randn(x.shape[1:], generator=rng, dtype=x.dtype, device=x.device)
    return noise.expand_as(x).clone()


@method(family="control", needs="nothing", cost="none", paper="Sobel & Feldman 1968; as a control: arXiv:1810.03292")
def edges(model: Model, x: Batch, target: Target) -> Attribution:
    r"""Strength of the edges in the picture, :math:`\sqrt{g_x^2 + g_y^2}` of Sobel's filter: `(B, 1, H, W)`.

    Unit: input units. It does not depend on the model, and yet looks like an explanation.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`.
    """
    require(x.ndim == 4, "edges: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    horizontal = x.new_tensor(_SOBEL) / 8  # so that a ramp of 1 per pixel gives 1
    kernels = torch.stack([horizontal, horizontal.T])[:, None]
    grey = x.mean(1, keepdim=True)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernels).square().sum(1, keepdim=True).sqrt()


@method(
    family="control", needs="nothing", cost="none", paper="control; as a baseline of eye fixations: arXiv:1604.03605"
)
def centre(model: Model, x: Batch, target: Target) -> Attribution:
    """A bump in the middle of the picture, `(B, 1, H, W)`: photographers put objects there. Unit: none.

    It is a Gaussian whose deviation is a quarter of each side. Where it does well, the objects are in the middle, and
    a good value of a method means little.

    Raises:
        ValueError: `x` is not `(B, C, H, W)`.
    """
    require(x.ndim == 4, "centre: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    H, W = x.shape[2:]
    rows = torch.linspace(-2, 2, H, dtype=x.dtype, device=x.device)
    columns = torch.linspace(-2, 2, W, dtype=x.dtype, device=x.device)
    squared_distance = rows[:, None].square() + columns.square()
    bump = torch.exp(-squared_distance / 2)
    return bump.expand(len(x), 1, -1, -1).clone()


@method(family="control", needs="nothing", cost="none", paper="control")
def input(model: Model, x: Batch, target: Target) -> Attribution:
    """The input itself: what an explanation that only repeats the picture looks like. Unit: input units."""
    return x.detach().clone()


@method(family="control", needs="nothing", cost="none", paper="control; a trap for metrics: arXiv:2202.06861")
def constant(model: Model, x: Batch, target: Target) -> Attribution:
    """The value 1 everywhere: it says nothing, and a metric that counts ties as hits rates it best. Unit: none."""
    return torch.ones_like(x)
