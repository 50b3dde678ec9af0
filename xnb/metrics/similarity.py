"""How similar two maps of the same inputs are. Unit: none, 1 for equal maps."""

from typing import Literal

import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

from xnb.access.units import Axes, Units
from xnb.check import require
from xnb.metrics.map_values import broadcast_units, rank_correlation, unit_values
from xnb.metrics.units import find_axes
from xnb.types import Attribution, Batch, Scores

Similarity = Literal["spearman", "spearman_abs", "ssim"]
_SSIM_WINDOW = 7  # pixels, what scikit-image compares at once


def map_similarity(
    a: Attribution, b: Attribution, x: Batch, kind: Similarity = "spearman", *, units: Units = None
) -> Scores:
    """Similarity of two maps, channels summed: Spearman's correlation of values or magnitudes, or SSIM.

    Equal maps have 1 even if they are constant. Between a constant and another map no rank correlation is defined:
    NaN. SSIM is that of the two maps, each divided by its largest magnitude.

    Args:
        units: axes of `x` that number what is ranked, as in `xnb.metrics.removal_curve`.

    Raises:
        ValueError: unknown `kind`, a map that is not one of `x` or not finite, or SSIM of what is no picture.
    """
    known = kind in ("spearman", "spearman_abs", "ssim")
    require(known, "metrics: similarity must be spearman, spearman_abs or ssim", kind, "similarity='spearman'")
    axes = find_axes(units, x, a)
    first = unit_values(a, x, axes)
    second = unit_values(b, x, axes)
    if kind == "ssim":
        return _structural_similarities(first, second, x, axes)
    if kind == "spearman_abs":
        first = first.abs()
        second = second.abs()
    correlations = rank_correlation(first.T, second.T)
    return torch.where((first == second).all(1), 1.0, correlations).to(x.dtype)


def _structural_similarities(a: Float[Tensor, "B D"], b: Float[Tensor, "B D"], x: Batch, axes: Axes) -> Scores:
    """Structural similarity (SSIM) of maps scaled to [-1, 1], over windows of 7 x 7 pixels."""
    fits = axes == (2, 3) and x.ndim == 4 and min(x.shape[2:]) >= _SSIM_WINDOW
    require(fits, f"metrics: SSIM compares pictures of at least {_SSIM_WINDOW} pixels", x, "similarity='spearman'")
    pictures = []
    for values in (a, b):
        scaled = broadcast_units(_divide_by_largest(values), x, axes)[:, 0]
        pictures.append(scaled.double().cpu().numpy())
    similarities = []
    for pair in zip(*pictures, strict=True):
        similarities.append(structural_similarity(*pair, win_size=_SSIM_WINDOW, data_range=2.0))
    return x.new_tensor(similarities)


def _divide_by_largest(a: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Return each map divided by its largest magnitude; zero stays zero."""
    largest = a.abs().amax(1, keepdim=True)
    return a / torch.where(largest > 0, largest, 1)
