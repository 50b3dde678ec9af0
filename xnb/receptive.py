"""How much of the picture one value of a layer can see."""

import copy
from collections.abc import Iterable

import torch
from torch import nn

from xnb.hooks import captured, hooked, submodule
from xnb.types import Batch

Window = tuple[int, int]  # kernel size, stride


def measured(model: nn.Module, x: Batch, layer: str) -> tuple[int, int]:
    """Height and width of the pixels that the central value of `layer` depends on, found by its gradient.

    Measured on a copy with every weight of a convolution positive and small, and every norm neutral: no term
    cancels, no activation switches off or saturates. A max-pooling layer passes one pixel on: for networks with
    one the answer is too small. `x` gives shape and type only, and must be larger than the answer.
    """
    clone = copy.deepcopy(model).double().eval()
    for module in clone.modules():
        _make_transparent(module)
    with torch.enable_grad(), captured(clone, layer) as seen:
        start = torch.full_like(x[:1], 1e-4, dtype=torch.double).requires_grad_()
        clone(start)
        out = seen[layer]
        centre = out[..., out.shape[-2] // 2, out.shape[-1] // 2].sum()
        (slope,) = torch.autograd.grad(centre, start)
    rows, columns = slope[0].abs().sum(0).nonzero().unbind(1)
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@torch.no_grad()
def _make_transparent(module: nn.Module) -> None:
    match module:
        case nn.Conv2d():
            module.weight.fill_(1 / module.weight[0].numel())
            if module.bias is not None:
                module.bias.zero_()
        case nn.BatchNorm2d():
            module.running_mean.zero_()
            module.running_var.fill_(1)
            if module.affine:
                module.weight.fill_(1)
                module.bias.zero_()


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

    They are a chain only where shortcuts hold none of them, as in SmallCNN and FastNet.
    """
    chain: list[Window] = []
    stop: list[int] = []

    def note(module: nn.Module, args: tuple, out: object) -> None:
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, dilation = (_one(getattr(module, of, 1)) for of in ("kernel_size", "stride", "dilation"))
            chain.append((dilation * (kernel - 1) + 1, stride))

    def end(module: nn.Module, args: tuple, out: object) -> None:
        stop.append(len(chain))

    last = submodule(model, layer)
    with torch.no_grad(), hooked([*((module, note) for module in model.modules()), (last, end)]):
        model(x)
    return chain[: stop[0]]


def _one(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]
