"""What a layer is and does: its filters, its channels for one input, how far it sees, what in it speaks for a class."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.hooks import find_module
from xnb.access.layout.seen_maps import see_outputs
from xnb.access.model_call import chunk_logits
from xnb.explanation import explain
from xnb.summary.receptive_field import measure_size
from xnb.types import Batch
from xnb.widgets import pixels
from xnb.widgets.explained import Subject
from xnb.widgets.pixels import Pixels

MAX_CHANNELS = 64  # that are drawn
_STRIP_COLUMNS = 16  # of an output that is no picture
_FIELD_SCALE = 4  # times the input's side on which a receptive field is measured


def draw_filters(model: nn.Module, layer: str) -> Pixels | None:
    """Draw a layer's weights: colour filters as they are, others on the signed scale; None without a weight matrix.

    A filter on more than three channels is drawn on the one that it weighs most.
    """
    weight = getattr(find_module(model, layer), "weight", None)
    if weight is None or weight.ndim not in (2, 4):
        return None
    values = weight.detach().cpu().numpy()
    end = _largest_magnitude(values)
    if values.ndim == 2:
        return _enlarge(pixels.signed_colours(values, end))
    shown = values[:MAX_CHANNELS]
    draw_filter = _draw_colour_filter if values.shape[1] == 3 else _draw_strongest
    tiles = [draw_filter(kernel, end) for kernel in shown]
    return _draw_sheet(np.stack(tiles))


def _draw_colour_filter(kernel: NDArray, end: float) -> Pixels:
    """Draw a filter `(3, h, w)` on colours as a picture, grey where it is zero."""
    return pixels.to_rgb(kernel / (2 * end) + 0.5)


def _draw_strongest(kernel: NDArray, end: float) -> Pixels:
    """Draw the channel of a filter `(C, h, w)` that has the largest weights."""
    strength = np.abs(kernel).sum((1, 2))
    strongest = kernel[strength.argmax()]
    return pixels.signed_colours(strongest, end)


def _largest_magnitude(values: NDArray) -> float:
    """Where a signed scale ends; 1 where all is zero."""
    return float(np.abs(values).max()) or 1.0


def _draw_sheet(tiles: Pixels) -> Pixels:
    """Put tiles `(N, h, w, 3)` side by side on a sheet that is about as wide as high."""
    columns = math.ceil(math.sqrt(len(tiles)))
    return _enlarge(pixels.montage(tiles, columns, gap=1))


def _enlarge(rgb: Pixels) -> Pixels:
    size = pixels.display_size(*rgb.shape[:2])
    return pixels.resize_nearest(rgb, size)


class LayerOutput(NamedTuple):
    """What a layer returns for one input, without the axis of inputs.

    Attributes:
        values: as they are, or channels first where they are maps.
        are_maps: whether they are maps `(D, h, w)`, as the functions of the model show.
    """

    values: Tensor
    are_maps: bool


def layer_output(subject: Subject, row: int, layer: str) -> LayerOutput:
    """What the layer returns for one input."""
    with subject.run_input(row) as x, torch.no_grad():
        inputs = x.clone()  # a model may write into its input
        with see_outputs(subject.module, inputs, layer) as seen:
            chunk_logits(subject.model, inputs)
    maps = seen.find_maps(layer)
    are_maps = maps is not None and maps.ndim == 4
    values = seen.outputs[layer] if maps is None else maps
    return LayerOutput(values[0].detach().cpu(), are_maps)


def draw_channels(output: LayerOutput) -> Pixels:
    """Draw the channels of maps side by side on one signed scale; other outputs as one strip."""
    values = output.values
    end = float(values.abs().max()) or 1.0
    if output.are_maps:
        shown = values[:MAX_CHANNELS].numpy()
        return _draw_sheet(pixels.signed_colours(shown, end))
    shown_values = values.flatten()[: MAX_CHANNELS * _STRIP_COLUMNS]
    missing = -len(shown_values) % _STRIP_COLUMNS  # to fill the last row
    strip = F.pad(shown_values, (0, missing)).view(-1, _STRIP_COLUMNS)
    return _enlarge(pixels.signed_colours(strip.numpy(), end))


def choose_field_input(subject: Subject) -> Batch:
    """Zeros on which receptive fields are measured: of four times the picture's sides, if the model takes them."""
    C, H, W = subject.x.shape[1:]
    larger = torch.zeros(1, C, _FIELD_SCALE * H, _FIELD_SCALE * W)
    try:
        with subject.run_input(0), torch.no_grad():
            subject.module(larger)
    except (RuntimeError, ValueError):  # as of a Transformer, which has a position for each of its patches
        return torch.zeros(1, C, H, W)
    return larger


def receptive_field_size(subject: Subject, layer: str, zeros: Batch) -> tuple[int, int]:
    """Rows and columns of the input that can reach one value of the layer.

    Raises:
        ValueError: as `xnb.summary.receptive_field.measure_size`.
    """
    with subject.run_input(0):
        return measure_size(subject.module, zeros, layer)


def draw_receptive_field(subject: Subject, row: int, values: Tensor, size: tuple[int, int]) -> Pixels:
    """Draw the picture with an outline of what the strongest position of the layer's output can see.

    Args:
        row: the input.
        values: the layer's maps for it, `(D, h, w)`.
        size: rows and columns that one position sees.
    """
    H, W = subject.x.shape[2:]
    strength = values.abs().sum(0)
    h, w = strength.shape
    top, left = divmod(int(strength.argmax()), w)
    # The position is a square of the picture; the field lies around the middle of that square.
    middle_row = (top + 0.5) * H / h
    middle_column = (left + 0.5) * W / w
    rows = window_slice(middle_row, size[0], H)
    columns = window_slice(middle_column, size[1], W)
    mask = np.zeros((H, W), dtype=bool)
    mask[rows, columns] = True
    return pixels.draw_outline(pixels.enlarge_picture(subject.shown_picture(row)), mask)


def window_slice(middle: float, length: int, side: int) -> slice:
    """Pixels around a position, cut off at the border."""
    start = round(middle - length / 2)
    return slice(max(0, start), min(side, start + length))


def draw_layer_cam(subject: Subject, row: int, layer: str, target: int) -> Pixels:
    """Draw Layer-CAM at the layer on the signed scale, as coarse as it is."""
    knobs = {"layer_cam": {"layer": layer}}
    with subject.run_input(row) as x:
        explanation = explain(subject.model, x, subject.target_of(target), ["layer_cam"], knobs=knobs)
    attribution = explanation.attributions["layer_cam"]
    heat = attribution[0].sum(0).cpu().numpy()
    rgb = pixels.signed_colours(heat, _largest_magnitude(heat))
    H, W = x.shape[2:]
    return pixels.resize_nearest(rgb, pixels.display_size(H, W))
