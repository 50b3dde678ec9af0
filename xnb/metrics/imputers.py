"""What stands where something is removed: one choice for all metrics that remove."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.check import require
from xnb.types import Batch

# (inputs (B, *shape), removed (N, 1 or B, *#shape) as 0 and 1) -> inputs with that replaced (N, B, *shape)
Imputer = Callable[[Batch, Tensor], Tensor]
_Fill = Callable[[slice, Tensor], Tensor]  # (rows of the batch, removed) -> what an imputer returns for them
# Weight of a pixel's neighbours: beside it, and across the corner (arXiv:2202.00449).
_BESIDE = 1 / 6
_ACROSS = 1 / 12
NOISE = 0.01  # standard deviation around the solution, as published


def mean_colour(x: Batch) -> Batch:
    """Return each picture's own mean colour; of other inputs zeros, which is the mean of standardised numbers."""
    if x.ndim != 4:
        return torch.zeros_like(x)
    return x.mean((2, 3), keepdim=True).expand_as(x)


def _blur_pictures(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Return the pictures without their detail: under a Gaussian of a twelfth of their side."""
    from torchvision.transforms.functional import gaussian_blur  # here: it takes seconds to load

    side = min(x.shape[2:])
    sigma = side / 12
    reach = min(round(3 * sigma), side - 1)
    kernel = 2 * reach + 1
    return gaussian_blur(x, [kernel, kernel], [sigma, sigma])


def noisy_linear_imputation(
    x: Float[Tensor, "B C H W"], removed: Float[Tensor, "N b 1 H W"]
) -> Float[Tensor, "N B C H W"]:
    """Make each removed pixel the weighted mean of its eight neighbours, removed ones included, and a little noise.

    The mask leaves no edge that a network could read (ROAD, arXiv:2202.00449). The noise is the same for a picture
    at every call.
    """
    pictures = x.flatten(2)
    # One mask for all pictures is one system of equations: their channels stand side by side, (1, H W, B C).
    one_mask = removed.shape[1] == 1
    pictures = pictures.permute(2, 0, 1).flatten(1)[None] if one_mask else pictures.mT
    width = x.shape[3]
    known = pictures.double().cpu().numpy()
    solutions = []
    for masks in removed.flatten(2).bool().cpu().numpy():
        pairs = zip(known, masks, strict=True)
        solutions.append([_solve_removed(*pair, width) for pair in pairs])
    solved = torch.from_numpy(np.stack(solutions)).to(x)
    # (N, b, H W, B/b C) -> (N, B, C, H W)
    filled = solved.unflatten(3, (-1, x.shape[1])).movedim(2, 4).flatten(1, 2)
    filled = filled.unflatten(3, tuple(x.shape[2:]))
    rng = make_generator("imputed noise", 0)
    noise = torch.randn(x.shape[1:], generator=rng).to(x) * NOISE
    return torch.where(removed.bool(), filled + noise, x)


def _solve_removed(picture: NDArray, removed: NDArray, width: int) -> NDArray:
    """Solve the removed pixels of one picture `(H W, C)`: symmetric and banded, so it takes about a millisecond."""
    if removed.all():
        return np.broadcast_to(picture.mean(0), picture.shape)
    # One equation a pixel. One that stays equals itself, and moves to the right side of its neighbours' equations:
    # so the matrix stays symmetric, and row k of `bands` holds what stands k below its diagonal.
    bands = np.zeros((width + 2, len(picture)))
    bands[0] = ~removed
    right_side = np.where(removed[:, None], 0.0, picture)
    for step, weight, has_neighbour in _neighbour_steps(len(picture), width):
        first = np.flatnonzero(has_neighbour)
        second = first + step
        for pixels, neighbours in ((first, second), (second, first)):
            unknown = pixels[removed[pixels]]
            beside = neighbours[removed[pixels]]
            bands[0, unknown] += weight
            stays = ~removed[beside]
            right_side[unknown[stays]] += weight * picture[beside[stays]]
        both_unknown = removed[first] & removed[second]
        bands[step, first[both_unknown]] = -weight
    return solveh_banded(bands, right_side, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False)


def _neighbour_steps(pixels: int, width: int) -> list[tuple[int, float, NDArray]]:
    """List half of a pixel's neighbours: step in reading order, weight, and which pixels have that neighbour."""
    column = np.arange(pixels) % width
    below = np.arange(pixels) < pixels - width
    right = column < width - 1
    left = column > 0
    beside = [(1, _BESIDE, right), (width, _BESIDE, below)]
    across = [(width + 1, _ACROSS, right & below), (width - 1, _ACROSS, left & below)]
    return beside + across


# A paint depends on the inputs alone and is laid where something is removed; an imputer sees what is removed.
PAINTS: dict[str, Callable[[Batch], Batch]] = {"zero": torch.zeros_like, "mean": mean_colour, "blur": _blur_pictures}
_IMPUTERS: dict[str, Imputer] = {"noisy_linear": noisy_linear_imputation}


def make_fill(impute: str | Imputer, x: Batch) -> _Fill:
    """Return a function (rows, removed) that replaces the removed values, 1 in `removed`, in these rows of `x`.

    Raises:
        ValueError: no imputer of that name, or one for pictures on other inputs.
    """
    names = [*PAINTS, *_IMPUTERS]
    known = callable(impute) or impute in names
    require(known, f"metrics: impute must be one of {names}, or a function", impute, "'mean'")
    takes_any_shape = callable(impute) or impute in ("zero", "mean")
    fits = x.ndim == 4 or takes_any_shape
    require(fits, f"metrics: impute={impute!r} needs pictures (B, C, H, W)", x, "impute='mean'")
    if isinstance(impute, str) and impute in PAINTS:
        # It does not depend on what is removed: it is mixed once for all calls.
        paint = PAINTS[impute](x)
        return lambda rows, removed: torch.lerp(x[rows], paint[rows], removed)
    imputer = _IMPUTERS[impute] if isinstance(impute, str) else impute
    return lambda rows, removed: imputer(x[rows], removed)
