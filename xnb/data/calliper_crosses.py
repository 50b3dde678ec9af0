"""A mark that is no symptom: a small white cross, as callipers leave it, in a member of a bag or a picture."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from xnb.data.split import Part
from xnb.types import Batch


def draw_crosses(
    x: Batch,
    seed: int,
    *,
    side: int = 8,
    scattered: bool = False,
) -> tuple[Batch, Bool[Tensor, "B N"]]:
    """Return inputs with a cross in one square each, and in which square it is.

    The cross is half as wide as the square and lies in its corner. The squares are the members of a bag
    `(B, N, 1, side, side)`, or those that a grey picture `(B, 1, H, W)` is cut into, row by row. Which one it is
    depends on the seed and the number of the input alone, so that a scattered mark has the square of the cross.

    Args:
        side: of a square, in pixels.
        scattered: as many white pixels of the same square, anywhere in it: what a network says of these is about white
            pixels, not about a cross.
    """
    rng = np.random.default_rng(seed)
    marked = x.clone()
    squares = _view_squares(marked, side)
    columns = squares.shape[2]
    count = squares.shape[1] * columns
    square = torch.from_numpy(rng.integers(count, size=(len(x), 1)))
    down, right = _list_cross(side)
    if scattered:
        # As many white pixels as a cross has, in the same square: only the form is gone.
        orders = rng.random((len(x), side**2)).argsort(1)
        anywhere = torch.from_numpy(orders[:, : len(down)])
        down, right = anywhere // side, anywhere % side
    each = torch.arange(len(x))[:, None]
    row = square // columns
    squares[each, row, square % columns, down, right] = 1
    return marked, torch.arange(count) == square


def _view_squares(x: Batch, side: int) -> Tensor:
    """Return a view `(B, rows, columns, side, side)` of the squares of bags or of pictures."""
    is_bag = x.ndim == 5
    if is_bag:
        return x.transpose(1, 2)
    return x[:, 0].unfold(1, side, side).unfold(2, side, side)


def _list_cross(side: int) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the pixels of a cross in the corner of a square."""
    places = torch.arange(side // 2 + 1)
    pixels = torch.cartesian_prod(places, places)
    on_cross = (pixels == side // 4).any(1)
    down, right = pixels[on_cross].unbind(1)
    return down, right


def mark_class(part: Part, seed: int, *, label: int = 1, side: int = 8) -> Part:
    """Return the part with a cross in every second input of one class: a network can learn the mark from it."""
    numbers = (part.y == label).nonzero()[:, 0]
    of_class = numbers[seed % 2 :: 2]
    marked, _ = draw_crosses(part.x[of_class], seed, side=side)
    return replace(part, x=part.x.index_copy(0, of_class, marked))
