"""Activation maximisation: an input that excites one unit of a layer, made by gradients."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.at_layer import layer_activation
from xnb.access.draws import make_generator
from xnb.access.hooks import capture_outputs
from xnb.access.layout.layer_maps import suggest_layer
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.check import refuse, require
from xnb.types import Batch, Scores

_TURN = 10.0  # degrees, at most, to either side
_SCALE = 0.1  # share by which a picture is enlarged or made smaller, at most
_SHIFT = 0.12  # of the side, at most, along each axis
_START = 0.01  # deviation of the spectrum that the ascent begins with: nearly grey


def measure_unit(model: nn.Module, x: Batch, layer: str, unit: int) -> Scores:
    """Mean activation of a unit, one number an input: over the places where the layer has maps.

    Args:
        unit: of the second axis of what the layer returns.

    Raises:
        ValueError: no such layer or unit.
    """
    return _average_unit(layer_activation(model, x, layer).activation, unit)


def _average_unit(activation: Tensor, unit: int) -> Float[Tensor, " B"]:
    units = activation.shape[1]
    rule = f"unit: the layer has {units} of them"
    require(0 <= unit < units, rule, unit, f"unit={units - 1}")
    return activation[:, unit : unit + 1].flatten(1).mean(1)  # of a layer without places, the unit itself


def excite_unit(
    model: nn.Module,
    shape: tuple[int, int, int],
    layer: str,
    unit: int,
    *,
    count: int = 1,
    steps: int = 200,
    rate: float = 0.05,
    robust: bool = True,
    span: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> Float[Tensor, "N C H W"]:
    r"""Pictures for which the mean activation of a unit is large, found by gradient ascent from noise.

    The picture is :math:`\sigma` of the inverse Fourier transform of what is optimised, each frequency divided by its
    size, so that no frequency is preferred; with `robust` it is turned, scaled and moved at random before every step,
    so that what excites the unit must do so wherever it lies (Olah et al. 2017, doi:10.23915/distill.00007). It
    misleads as a picture of what the unit stands for: it is one input of many, no input that occurs, and a network
    with random weights has such pictures too.

    Args:
        shape: of one input, `(C, H, W)`.
        unit: of the second axis of what the layer returns.
        count: pictures, each from a start of its own.
        rate: of Adam.
        robust: whether the picture is moved before every step; without it the result is mostly adversarial noise.
        span: lowest and highest value of an input.
        seed: of the starts and the moves.

    Raises:
        ValueError: no such layer or unit, or a unit that does not depend on the input.
    """
    generator = make_generator("activation maximisation", seed)
    channels, *sides = shape
    parameter = next(model.parameters())
    # of the half of a spectrum that a real picture has
    noise = torch.randn(count, channels, sides[0], sides[1] // 2 + 1, 2, generator=generator)
    spectrum = (_START * noise.to(parameter)).requires_grad_()
    check_explainable(model, torch.zeros(1, *shape).to(parameter))
    paint = _make_painter(sides, span)
    optimizer = torch.optim.Adam([spectrum], lr=rate)
    for _ in range(steps):
        with torch.enable_grad(), capture_outputs(model, layer) as captured:
            x = paint(spectrum)
            # a copy: a first module may write into its input
            chunk_logits(model, _move_picture(x, generator) if robust else x.clone())
            excitement = _average_unit(captured[layer], unit).sum()
        if not excitement.requires_grad:
            refuse("excite_unit: the unit must depend on the input", layer, suggest_layer(model, paint(spectrum)))
        (spectrum.grad,) = torch.autograd.grad(-excitement, [spectrum])
        optimizer.step()
    return paint(spectrum).detach()


def _make_painter(sides: list[int], span: tuple[float, float]) -> Callable[[Tensor], Tensor]:
    """From spectra to pictures within the span."""
    rows = torch.fft.fftfreq(sides[0])[:, None]
    columns = torch.fft.rfftfreq(sides[1])
    frequency = torch.hypot(rows, columns).clamp(min=1 / max(sides))
    low, high = span

    def paint(spectrum: Tensor) -> Tensor:
        scaled = torch.view_as_complex(spectrum.contiguous()) / frequency.to(spectrum)
        waves = torch.fft.irfft2(scaled, s=tuple(sides), norm="ortho")
        return low + (high - low) * waves.sigmoid()

    return paint


def _move_picture(x: Float[Tensor, "N C H W"], generator: torch.Generator) -> Float[Tensor, "N C H W"]:
    """Each picture turned, scaled and shifted by random amounts; its border is mirrored."""
    # within [-1, 1]: turn, scale, and shift along either axis
    draws = 2 * torch.rand(4, len(x), generator=generator).to(x) - 1
    angle = draws[0] * _TURN * torch.pi / 180
    scale = 1 + _SCALE * draws[1]
    shift = 2 * _SHIFT * draws[2:]  # the grid is two units wide
    cosine = scale * angle.cos()
    sine = scale * angle.sin()
    first = torch.stack([cosine, -sine, shift[0]], 1)
    second = torch.stack([sine, cosine, shift[1]], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
