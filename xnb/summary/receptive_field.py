"""How much of the picture one value of a layer can see, and how much of that it uses."""

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xnb.access.copies import copy_module
from xnb.access.hooks import capture_outputs, find_module, forward_hooks
from xnb.access.layout.layer_maps import suggest_layer
from xnb.access.layout.seen_maps import see_outputs
from xnb.access.model_call import check_explainable
from xnb.check import refuse, require
from xnb.types import Batch


class Window(NamedTuple):
    """What one value of a convolution or pooling sees of its input, along each side, and how far the next is."""

    kernel: int  # dilation included
    stride: int


_Slider: TypeAlias = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def measure_size(model: nn.Module, x: Batch, layer: str) -> tuple[int, int]:
    """Return height and width of the pixels that can reach the central value of `layer`, by its gradient.

    Trained weights would hide pixels behind dead activations, terms that cancel, and the losers of a pooling.
    So it is measured on a copy where convolutions average, norms are neutral and max pooling averages too: a path
    that exists then has a positive gradient. Max pooling called as a function is not noticed, and hides pixels.

    Args:
        x: gives the size and the device only; larger than the answer.

    Raises:
        ValueError: `layer` does not return pictures, or sees up to the border, so that the answer may be cut off.
    """
    clone = copy_module(model).double().eval()
    # small: residuals add up, and below 6 no ReLU6 cuts them off
    start = torch.full_like(x[:1], 1e-4, dtype=torch.double).requires_grad_()
    arrange = _find_arrangement(clone, start, layer)
    reached = _find_reached(clone, start, layer, arrange)
    rule = f"receptive: what {layer} returns must move with a small x"
    require(bool(reached.any()), rule, x, "xnb.summary.module_table(model, x)  # and another layer")
    border_rows = reached[[0, -1]]
    border_columns = reached[:, [0, -1]]
    inside = not (border_rows.any() or border_columns.any())
    hint = "" if inside else _suggest_larger(model, x)
    require(inside, f"receptive: {layer} must not see the border of x", x, hint)
    return _extent(reached.any(1)), _extent(reached.any(0))


def _find_arrangement(model: nn.Module, x: Batch, layer: str) -> Callable[[Tensor], Tensor]:
    """How the layer's output becomes maps `(B, D, h, w)`."""
    with torch.no_grad(), see_outputs(model, x, layer) as seen:
        model(x)
    arrange = seen.find_arrangement(layer)
    if arrange is None or arrange(seen.outputs[layer]).ndim != 4:
        rule = f"receptive: {layer} must return maps of the picture"
        refuse(rule, seen.outputs[layer], suggest_layer(model, x))
    return arrange


def _suggest_larger(model: nn.Module, x: Batch) -> str:
    """The line to try where a layer sees the border: a larger input, if the model takes one."""
    shape = (1, x.shape[1], 4 * x.shape[2], 4 * x.shape[3])
    try:
        with torch.no_grad():
            model(x.new_zeros(shape))
    except (RuntimeError, ValueError):
        return "xnb.summary.module_table(model, x)  # and an earlier layer, as the model takes no larger x"
    return f"x = torch.zeros({shape})  # or an earlier layer"


def _find_reached(
    clone: nn.Module, start: Tensor, layer: str, arrange: Callable[[Tensor], Tensor]
) -> Bool[Tensor, "H W"]:
    """The pixels that reach the central place of the layer's maps, once every module of the copy lets them through."""
    for module in clone.modules():
        _make_transparent(module)
    with torch.enable_grad(), capture_outputs(clone, layer) as outputs:
        clone(start)
    maps = arrange(outputs[layer])
    centre = maps[..., maps.shape[2] // 2, maps.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(centre, start)
    return gradient[0].sum(0) != 0


def _extent(reached: Tensor) -> int:
    """Return how many positions lie from the first to the last that is true."""
    positions = reached.nonzero()
    return int(positions[-1] - positions[0]) + 1


@torch.no_grad()
def _make_transparent(module: nn.Module) -> None:
    """Let convolutions average and norms do nothing, and put averages in the place of max poolings."""
    match module:
        case nn.Conv2d():
            module.weight.fill_(1 / module.weight[0].numel())
            if module.bias is not None:
                module.bias.zero_()
        case nn.BatchNorm2d():
            module.reset_parameters()  # mean 0, variance 1, weight 1, bias 0: it changes nothing
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            rule = "receptive: max pooling must not be dilated"
            require(child.dilation in (1, (1, 1)), rule, child.dilation, "pooling without dilation")
            average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
            setattr(module, name, average)
        elif isinstance(child, nn.LayerNorm) and len(child.normalized_shape) == 1:
            setattr(module, name, nn.Identity())  # over channels that are alike it would return a constant


def effective_field(model: nn.Module, x: Batch, layer: str, *, channels: int = 16) -> Float[Tensor, "B H W"]:
    r"""Return for each picture how much its pixels move the middle of what `layer` returns, as shares of 1.

    .. math:: e_{nij} \propto \sum_{d, c} \left| \partial u_{nd} / \partial x_{ncij} \right|

    with :math:`u_{nd}` the middle of map d for picture n, and c the colours. Where a pixel *can* matter is what
    `measure_size` returns; here is how much it does, for the weights and the picture as they are. It is a slope: a
    pixel that would matter only if it changed a lot has none, and so has every pixel of a unit that is switched off.

    Args:
        x: pictures as the model takes them.
        channels: how many maps of the layer are asked, evenly spaced; a backward pass each.

    Raises:
        ValueError: `layer` does not return pictures, or no pixel of a picture moves its middle.

    Source: Luo et al. 2016, arXiv:1701.04128.
    """
    check_explainable(model, x)
    arrange = _find_arrangement(model, x, layer)
    inputs = x.detach().clone().requires_grad_()
    with torch.enable_grad(), capture_outputs(model, layer) as outputs:
        model(inputs)
        maps = arrange(outputs[layer])
    # the sum over pictures has each picture's own gradient: in evaluation mode no picture sees another
    h, w = maps.shape[2:]
    middle = maps[..., h // 2, w // 2].sum(0)
    count = min(channels, len(middle))
    indices = torch.linspace(0, len(middle) - 1, count).long()
    field = torch.zeros_like(x[:, 0])
    for channel in indices:
        (gradient,) = torch.autograd.grad(middle[channel], inputs, retain_graph=True)
        field += gradient.abs().sum(1)
    totals = field.sum((1, 2), keepdim=True)
    rule = f"receptive: a pixel of each picture must move what {layer} returns in the middle"
    require(bool((totals > 0).all()), rule, totals.flatten().tolist(), "x = torch.rand_like(x)  # or other pictures")
    return field / totals


def count_inside(field: Float[Tensor, "B H W"], side: int) -> Float[Tensor, " B"]:
    """Return the sum of each field over a square of `side` by `side` pixels around the middle of the picture."""
    H, W = field.shape[1:]
    inside = field[:, _middle(H, side)][:, :, _middle(W, side)]
    return inside.sum((1, 2))


def _middle(length: int, side: int) -> slice:
    """As many places as `side` says, or all; of an even number one more lies before the middle one than behind it."""
    start = max(0, length // 2 - side // 2)
    return slice(start, length // 2 - side // 2 + side)


def side_by_formula(windows: Iterable[tuple[int, int]]) -> int:
    r"""Return the side of the receptive field of a chain of windows, :math:`1 + \sum_l (k_l - 1) \prod_{i<l} s_i`.

    Args:
        windows: kernel size k and stride s of each, from the input on.

    Source: Araujo, Norris & Sim 2019, Distill, doi:10.23915/distill.00021.
    """
    side = 1
    jump = 1  # pixels between neighbouring values
    for kernel, stride in windows:
        side += (kernel - 1) * jump
        jump *= stride
    return side


def list_windows(model: nn.Module, x: Batch, layer: str) -> list[Window]:
    """Return kernel and stride of the convolutions and poolings that run up to `layer`, dilation included.

    Raises:
        ValueError: `model` is in training mode, a window is not square, or the strides do not lead from `x` to
            the layer's size: they are a chain only where shortcuts hold none, as in SmallCNN and FastNet.
    """
    chain: list[Window] = []
    at_layer: list[tuple[list[Window], torch.Size]] = []

    def add_window(module: nn.Module, args: tuple, out: object) -> None:
        if isinstance(module, _Slider):
            chain.append(_window_of(module))

    def note_layer(module: nn.Module, args: tuple, out: Any) -> None:
        at_layer.append((chain.copy(), out.shape))

    check_explainable(model, x)
    # The layer's hook comes last: where the layer is a window itself, it belongs to the chain.
    hooks = [*((module, add_window) for module in model.modules()), (find_module(model, layer), note_layer)]
    with torch.no_grad(), forward_hooks(hooks):
        model(x)
    windows, shape = at_layer[0]
    # Windows on a shortcut run beside the chain, but their strides are in the product: the layer is then larger than
    # the strides allow. One that is smaller is no error: windows without padding make it so.
    total_stride = prod(window.stride for window in windows)
    largest = -(-x.shape[-1] // total_stride)  # rounded up
    fits = shape[-1] <= largest
    hint = f"receptive_field.measure_size(model, x, {layer!r})"
    require(fits, f"receptive: strides up to {layer} must form one chain, no shortcut may hold one", windows, hint)
    return windows


def _window_of(module: _Slider) -> Window:
    kernel = _square_side(module.kernel_size)
    stride = _square_side(module.stride)
    dilation = _square_side(getattr(module, "dilation", 1))  # an average pooling has none
    return Window(dilation * (kernel - 1) + 1, stride)


def _square_side(size: int | tuple[int, ...]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    hint = "receptive_field.measure_size(model, x, layer)"
    require(len(sides) == 1, "receptive: the formula is for square windows", size, hint)
    return sides.pop()
