"""How much of the picture one value of a layer can see."""

import copy
from collections.abc import Iterable
from math import prod

import torch
from torch import nn

from xnb.access.hooks import captured, hooked, submodule
from xnb.access.score import ready
from xnb.check import require
from xnb.types import Batch

Window = tuple[int, int]  # kernel size, stride


def measured(model: nn.Module, x: Batch, layer: str) -> tuple[int, int]:
    """Height and width of the pixels that can reach the central value of `layer`, found by its gradient.

    Trained weights would hide pixels behind dead activations, terms that cancel, and the losers of a pooling.
    So it is measured on a copy where convolutions average, norms are neutral and max pooling averages too: a path
    that exists then has a positive slope. Max pooling called as a function is not seen, and hides pixels.

    Args:
        x: gives the size and the device only; larger than the answer.

    Raises:
        ValueError: `layer` does not return pictures, or sees up to the border, so that the answer may be cut off.
    """
    clone = copy.deepcopy(model).double().eval()
    for module in clone.modules():
        _make_transparent(module)
    with torch.enable_grad(), captured(clone, layer) as seen:
        start = torch.full_like(x[:1], 1e-4, dtype=torch.double).requires_grad_()  # small: residuals add up below 6
        clone(start)
    out = seen[layer]
    require(out.ndim == 4, f"receptive: {layer} must return pictures (B, C, H, W)", out, "a layer before the pooling")
    centre = out[..., out.shape[2] // 2, out.shape[3] // 2].sum()
    (slope,) = torch.autograd.grad(centre, start)
    reached = slope[0].sum(0) != 0
    rows, columns = reached.any(1).nonzero(), reached.any(0).nonzero()
    inside = not (reached[[0, -1]].any() or reached[:, [0, -1]].any())
    require(inside, f"receptive: {layer} must not see the border of x", x, "a larger x, or a layer before the pooling")
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


@torch.no_grad()
def _make_transparent(module: nn.Module) -> None:
    match module:
        case nn.Conv2d():
            module.weight.fill_(1 / module.weight[0].numel())
            if module.bias is not None:
                module.bias.zero_()
        case nn.BatchNorm2d():
            module.reset_parameters()
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            require(child.dilation in (1, (1, 1)), "receptive: max pooling must not be dilated", child.dilation)
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))


def by_formula(windows: Iterable[Window]) -> int:
    r"""Side of the receptive field of a chain of windows, :math:`1 + \sum_l (k_l - 1) \prod_{i<l} s_i`.

    Source: Araujo, Norris & Sim 2019, Distill, doi:10.23915/distill.00021.
    """
    side, jump = 1, 1
    for kernel, stride in windows:
        side += (kernel - 1) * jump
        jump *= stride
    return side


def windows(model: nn.Module, x: Batch, layer: str) -> list[Window]:
    """Kernel and stride of the convolutions and poolings that run up to `layer`, dilation included.

    Raises:
        ValueError: `model` is in training mode, a window is not square, or the strides do not lead from `x` to
            the layer's size: they are a chain only where shortcuts hold none, as in SmallCNN and FastNet.
    """
    chain: list[Window] = []
    found: list[tuple[list[Window], torch.Size]] = []

    def note(module: nn.Module, args: tuple, out: object) -> None:
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, dilation = (_side(getattr(module, of, 1)) for of in ("kernel_size", "stride", "dilation"))
            chain.append((dilation * (kernel - 1) + 1, stride))

    def end(module: nn.Module, args: tuple, out: torch.Tensor) -> None:
        found.append((chain[:], out.shape))

    ready(model, x)
    with torch.no_grad(), hooked([*((module, note) for module in model.modules()), (submodule(model, layer), end)]):
        model(x)
    steps, shape = found[0]
    largest = -(-x.shape[-1] // prod(stride for _, stride in steps))
    fits = shape[-1] <= largest
    require(fits, f"receptive: strides up to {layer} must form one chain, no shortcut may hold one", steps)
    return steps


def _side(size: int | tuple[int, ...]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    hint = "receptive.measured(model, x, layer)"
    require(len(sides) == 1, "receptive: the formula is for square windows", size, hint)
    return sides.pop()
