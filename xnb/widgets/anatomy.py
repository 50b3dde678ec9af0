"""What a layer is and does: its filters, its maps for one input, how far it sees, what it says for the class."""

import math
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xnb.access.hooks import captured, submodule
from xnb.access.score import logits
from xnb.explanation import explain
from xnb.summary.receptive_field import measured
from xnb.widgets import pixels
from xnb.widgets.explained import Subject

MOST = 64  # channels that are drawn
ENLARGED = 4  # times the input's side on which a receptive field is measured


def filters(model: nn.Module, layer: str) -> NDArray[np.uint8] | None:
    """Weights of a layer: colour filters as they are, others on the signed scale; None without a matrix of weights.

    A filter on more than three channels is drawn on the one that it weighs most.
    """
    weight = getattr(submodule(model, layer), "weight", None)
    if weight is None or weight.ndim not in (2, 4):
        return None
    values = weight.detach().cpu().numpy()
    end = float(np.abs(values).max()) or 1.0
    if values.ndim == 2:
        return enlarged(pixels.signed(values, end))
    if values.shape[1] == 3:
        tiles = [pixels.picture(one / (2 * end) + 0.5) for one in values[:MOST]]
    else:
        strongest = np.abs(values).sum((2, 3)).argmax(1)
        tiles = [pixels.signed(one[channel], end) for one, channel in zip(values[:MOST], strongest, strict=False)]
    return enlarged(pixels.montage(np.stack(tiles), across(len(tiles)), gap=1))


def across(tiles: int) -> int:
    """Tiles side by side, so that a sheet is about as wide as high."""
    return math.ceil(math.sqrt(tiles))


def enlarged(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels.stretched(rgb, pixels.shown_size(*rgb.shape[:2]))


def output(subject: Subject, row: int, layer: str) -> Tensor:
    """What the layer returns for one input, without the batch axis."""
    with captured(subject.model, layer) as seen:
        logits(subject.model, subject.input(row))
    return seen[layer][0].detach().cpu()


def maps(values: Tensor) -> NDArray[np.uint8]:
    """The channels of an output `(C, h, w)` side by side on one signed scale; other outputs as one strip."""
    end = float(values.abs().max()) or 1.0
    if values.ndim == 3:
        tiles = pixels.signed(values[:MOST].numpy(), end)
        return enlarged(pixels.montage(tiles, across(len(tiles)), gap=1))
    flat = values.flatten()[: MOST * MOST // 4]
    padded = torch.nn.functional.pad(flat, (0, -len(flat) % 16)).view(-1, 16)
    return enlarged(pixels.signed(padded.numpy(), end))


def sees(subject: Subject, layer: str) -> tuple[int, int]:
    """Rows and columns of the input that can reach one value of the layer.

    Raises:
        ValueError: as `receptive.measured`.
    """
    C, H, W = subject.x.shape[1:]
    larger = torch.zeros(1, C, ENLARGED * H, ENLARGED * W)
    return measured(subject.model, larger, layer)


def field(subject: Subject, row: int, values: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture with what the strongest place of the layer can see, outlined."""
    H, W = subject.x.shape[2:]
    strength = values.abs().sum(0)
    top, left = np.unravel_index(int(strength.argmax()), strength.shape)
    mask = np.zeros((H, W), dtype=bool)
    middles = ((at + 0.5) * side / n for at, side, n in zip((top, left), (H, W), strength.shape, strict=True))
    rows, columns = (window(*place) for place in zip(middles, size, (H, W), strict=True))
    mask[rows, columns] = True
    rgb = pixels.stretched(pixels.picture(subject.x[row].cpu()), pixels.shown_size(H, W))
    return pixels.outlined(rgb, mask)


def window(middle: float, length: int, side: int) -> slice:
    """Pixels around a place, cut off at the border."""
    start = round(middle - length / 2)
    return slice(max(0, start), min(side, start + length))


def says(subject: Subject, row: int, layer: str, target: int) -> NDArray[np.uint8]:
    """Layer-CAM at the layer, on the signed scale, as coarse as it is."""
    x = subject.input(row)
    ask = partial(explain, subject.model, x, torch.tensor([target], device=x.device), ["layer_cam"])
    heat = ask(knobs={"layer_cam": {"layer": layer}}).attributions["layer_cam"][0].sum(0).cpu().numpy()
    end = float(np.abs(heat).max()) or 1.0
    return pixels.stretched(pixels.signed(heat, end), pixels.shown_size(*x.shape[2:]))
