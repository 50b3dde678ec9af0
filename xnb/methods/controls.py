"""Controls: maps that do not depend on the model. An explanation that does not beat them explains nothing."""

import hashlib

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.draws import make_generator
from xnb.access.units import Axes, Units, find_unit_axes, size_by_axis
from xnb.check import require
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

# Sobel's filter: the slope along one axis, smoothed along all others. A ramp of 1 per place gives 1.
_SLOPE = [-0.5, 0.0, 0.5]
_SMOOTH = [0.25, 0.5, 0.25]
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@method(family="control", needs="nothing", cost="none", paper="control")
def random(model: Model | None, x: Batch, target: Target, *, seed: int = 0) -> Attribution:
    """Gaussian noise, drawn for each input: what an explanation of nothing looks like. Unit: none.

    The draw depends on the seed and on the values of the input alone: not on its batch, and not on the device. Equal
    inputs have equal maps; an input that was changed a little has a new one, unrelated to the first. Values count as
    `float32`, so that a change below its digits is none.

    Args:
        seed: seeds a generator for each input; the global one is left alone.
    """
    noise = torch.empty(x.shape, dtype=torch.float32, device="cpu")
    for row, values in zip(noise, x.detach().to("cpu", noise.dtype), strict=True):
        digest = hashlib.sha256((values + 0.0).numpy().tobytes()).hexdigest()  # -0 becomes 0, as they are equal
        rng = make_generator(f"random map of {digest}", seed)
        row.copy_(torch.randn(row.shape, generator=rng, dtype=noise.dtype, device="cpu"))
    return noise.to(x)  # the same draw in every precision, rounded


@method(
    family="control",
    needs="nothing",
    cost="none",
    paper="Sobel & Feldman 1968; as a control: arXiv:1810.03292",
    sign="none",
)
def edges(model: Model | None, x: Batch, target: Target, *, units: Units = None) -> Attribution:
    r"""Strength of the edges in the picture, :math:`\sqrt{g_x^2 + g_y^2}` of Sobel's filter: `(B, 1, H, W)`.

    Unit: input units. It does not depend on the model, and yet looks like an explanation. Of signals `(B, C, T)` it
    is the size of the slope, of volumes `(B, C, D, H, W)` there are three slopes; of tokens `(B, N, D)` it is how much
    their mean moves from one to the next.

    Args:
        units: axes of `x` along which the slope is taken, `(2,)` for the steps of a signal, `(1,)` for tokens; None:
            `xnb.access.units.find_unit_axes`, which looks at the model where signals and tokens have one shape.

    Raises:
        ValueError: `x` has no places, more than three axes of them, or it cannot be known which these are.
    """
    axes = _require_place_axes(x, units, model, "edges")
    rule = "edges: x must be signals, pictures or volumes, with one to three axes of places"
    require(len(axes) in _CONVOLUTIONS, rule, x, "xnb.attribute(model, x, target, 'centre')")
    kernels = torch.stack([_slope_kernel(axis, len(axes), x) for axis in range(len(axes))])[:, None]
    # Channels, or the features of a token, are one value a place.
    others = [axis for axis in range(1, x.ndim) if axis not in axes]
    grey = (x.mean(others) if others else x)[:, None]
    padded = F.pad(grey, (1, 1) * len(axes), mode="replicate")
    strength = _CONVOLUTIONS[len(axes)](padded, kernels).square().sum(1).sqrt()
    return strength.view(len(x), *size_by_axis(x, axes))


def _slope_kernel(axis: int, places: int, x: Batch) -> Tensor:
    """The slope along one axis, smoothed along the others."""
    kernel = x.new_ones(())
    for other in range(places):
        weights = x.new_tensor(_SLOPE if other == axis else _SMOOTH)
        kernel = kernel[..., None] * weights
    return kernel


def _require_place_axes(x: Batch, units: Units, model: Model | None, name: str) -> Axes:
    """The axes of places; a table has none."""
    hint = "xnb.attribute(model, x, target, 'random')"
    require(x.ndim > 2, f"{name}: x must have places, (B, C, ...)", x, hint)
    return find_unit_axes(units, x, model, name)


@method(
    family="control",
    needs="nothing",
    cost="none",
    paper="control; as a baseline of eye fixations: arXiv:1604.03605",
    sign="none",
)
def centre(model: Model | None, x: Batch, target: Target, *, units: Units = None) -> Attribution:
    """A bump in the middle of the picture, `(B, 1, H, W)`: photographers put objects there. Unit: none.

    It is a Gaussian whose deviation is a quarter of each side, also of signals, volumes and tokens. Where it does well,
    the objects are in the middle, and a good value of a method means little.

    Args:
        units: axes of `x` that have a middle, as in `edges`.

    Raises:
        ValueError: `x` has no places, or it cannot be known which axes these are.
    """
    axes = _require_place_axes(x, units, model, "centre")
    squared_distance = x.new_zeros(())
    for axis in axes:
        length = x.shape[axis]
        steps = torch.linspace(-2, 2, length, dtype=x.dtype, device=x.device) if length > 1 else x.new_zeros(1)
        squared_distance = squared_distance[..., None] + steps.square()
    bump = torch.exp(-squared_distance / 2).view(size_by_axis(x, axes))
    return bump.expand(len(x), *bump.shape).clone()


@method(
    family="control", needs="nothing", cost="none", paper="control; as a part of maps: arXiv:1711.00867", sign="none"
)
def baseline_distance(model: Model | None, x: Batch, target: Target, *, baseline: Baseline = 0.0) -> Attribution:
    """Distance of each value from the baseline, `|x - b|`: where the picture differs from what removal leaves.

    Unit: input units. Methods that multiply by `x - b`, as integrated gradients do, have it as a factor, with any
    network; what they show beyond it comes from the network. At zero it is the brightness of a picture.

    Args:
        baseline: that of the method it stands beside; as in `integrated_gradients`.

    Raises:
        ValueError: `baseline` does not broadcast to `x`.
    """
    return (x.detach() - expand_baseline(baseline, x.detach(), model)).abs()


@method(
    family="control", needs="nothing", cost="none", paper="control; a trap for metrics: arXiv:2202.06861", sign="none"
)
def constant(model: Model | None, x: Batch, target: Target) -> Attribution:
    """The value 1 everywhere: it says nothing, and a metric that counts ties as hits rates it best. Unit: none."""
    return torch.ones_like(x)
