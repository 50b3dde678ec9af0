"""What stands where something is removed: one choice for all metrics that remove."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from xnb.check import require
from xnb.types import Batch

# (inputs (B, *shape), removed (N, 1 or B, *#shape) as 0 and 1) -> inputs with that replaced (N, B, *shape)
Imputer = Callable[[Batch, Tensor], Tensor]
_Fill = Callable[[slice, Tensor], Tensor]  # (which inputs, removed) -> the same
_BESIDE, _ACROSS = 1 / 6, 1 / 12  # weight of a pixel's neighbours: beside it, and across the corner (arXiv:2202.00449)
NOISE = 0.01  # standard deviation around the solution, as published


def mean_colour(x: Batch) -> Batch:
    """Each picture's own mean colour; of other inputs zeros, which is the mean of standardised numbers."""
    return x.mean((2, 3), keepdim=True).expand_as(x) if x.ndim == 4 else torch.zeros_like(x)


def _blur_pictures(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """The picture without its detail: a Gaussian of a twelfth of its side."""
    from torchvision.transforms.functional import gaussian_blur  # here: it takes seconds to load

    sigma = min(x.shape[2:]) / 12
    size = 2 * min(round(3 * sigma), min(x.shape[2:]) - 1) + 1
    return gaussian_blur(x, [size, size], [sigma, sigma])


def noisy_linear_imputation(x: Float[Tensor, "B C H W"], removed: Float[Tensor, "N b 1 H W"]) -> Float[Tensor, "N B C H W"]:
    """Each removed pixel is the weighted mean of its eight neighbours, removed ones included, and a little noise.

    The mask leaves no edge that a network could read (ROAD, arXiv:2202.00449). The noise is the same for a picture
    at every call.
    """
    together = removed.shape[1] == 1  # one mask for all pictures is one system of equations
    pictures = x.flatten(2).permute(2, 0, 1).flatten(1)[None] if together else x.flatten(2).mT
    known, masks = pictures.double().cpu().numpy(), removed.flatten(2).bool().cpu().numpy()
    filled = np.stack([[_solve_removed(*pair, x.shape[3]) for pair in zip(known, row, strict=True)] for row in masks])
    filled = torch.from_numpy(filled).to(x).unflatten(3, (-1, x.shape[1])).movedim(2, 4).flatten(1, 2)
    noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x) * NOISE
    return torch.where(removed.bool(), filled.unflatten(3, tuple(x.shape[2:])) + noise, x)


def _solve_removed(picture: NDArray, removed: NDArray, width: int) -> NDArray:
    """Solve the removed pixels of one picture `(H W, C)`: symmetric and banded, so it takes about a millisecond."""
    if removed.all():
        return np.broadcast_to(picture.mean(0), picture.shape)
    bands, right = np.zeros((width + 2, len(picture))), np.where(removed[:, None], 0.0, picture)
    bands[0] = ~removed
    for step, weight, has in _neighbour_steps(len(picture), width):
        first = np.flatnonzero(has)
        for here, other in ((first, first + step), (first + step, first)):
            here, other = here[removed[here]], other[removed[here]]
            bands[0, here] += weight
            edge = ~removed[other]
            right[here[edge]] += weight * picture[other[edge]]
        bands[step, first[removed[first] & removed[first + step]]] = -weight
    return solveh_banded(bands, right, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False)


def _neighbour_steps(pixels: int, width: int) -> list[tuple[int, float, NDArray]]:
    """Half of a pixel's neighbours as steps in reading order, with their weights and which pixels have them."""
    column, down = np.arange(pixels) % width, np.arange(pixels) < pixels - width
    right, left = column < width - 1, column > 0
    return [(1, _BESIDE, right), (width, _BESIDE, down), (width + 1, _ACROSS, right & down), (width - 1, _ACROSS, left & down)]


PAINTS: dict[str, Callable[[Batch], Batch]] = {"zero": torch.zeros_like, "mean": mean_colour, "blur": _blur_pictures}
_IMPUTERS: dict[str, Imputer] = {"noisy_linear": noisy_linear_imputation}


def make_fill(impute: str | Imputer, x: Batch) -> _Fill:
    """What replaces removed values of some of `x`: paint that is mixed once, or a function that sees the mask.

    Raises:
        ValueError: no imputer of that name, or one for pictures on other inputs.
    """
    names = [*PAINTS, *_IMPUTERS]
    require(
        callable(impute) or impute in names, f"metrics: impute must be one of {names}, or a function", impute, "'mean'"
    )
    fits = x.ndim == 4 or callable(impute) or impute in ("zero", "mean")
    require(fits, f"metrics: impute={impute!r} needs pictures (B, C, H, W)", x, "impute='mean'")
    if impute in PAINTS:
        paint = PAINTS[impute](x)
        return lambda part, removed: torch.lerp(x[part], paint[part], removed)
    function = _IMPUTERS.get(impute, impute)
    return lambda part, removed: function(x[part], removed)
