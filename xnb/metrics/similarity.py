"""How alike two maps of the same inputs are. Unit: none, 1 for equal maps."""

from typing import Literal

import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

from xnb.check import require
from xnb.metrics.map_values import rank_correlation, spread, values
from xnb.types import Attribution, Batch, Scores

Similarity = Literal["spearman", "spearman_abs", "ssim"]
WINDOW = 7  # pixels, what scikit-image compares at once


def alike(a: Attribution, b: Attribution, x: Batch, kind: Similarity = "spearman") -> Scores:
    """Likeness of two maps, channels summed: Spearman's correlation of values or magnitudes, or SSIM.

    Equal maps are alike (1) even if they are constant. Of a constant and another map no rank correlation can be
    told: NaN. SSIM is that of the two maps, each divided by its largest magnitude.

    Raises:
        ValueError: unknown `kind`, a map that is not one of `x` or not finite, or SSIM of what is no picture.
    """
    known = kind in ("spearman", "spearman_abs", "ssim")
    require(known, "metrics: similarity must be spearman, spearman_abs or ssim", kind, "similarity='spearman'")
    first, second = values(a, x), values(b, x)
    if kind == "ssim":
        return ssim(first, second, x)
    if kind == "spearman_abs":
        first, second = first.abs(), second.abs()
    found = rank_correlation(first.T, second.T)
    return torch.where((first == second).all(1), 1.0, found).to(x.dtype)


def ssim(a: Float[Tensor, "B D"], b: Float[Tensor, "B D"], x: Batch) -> Scores:
    """Structural similarity of maps scaled to [-1, 1], over windows of 7 x 7 pixels."""
    fits = x.ndim == 4 and min(x.shape[2:]) >= WINDOW
    require(fits, f"metrics: SSIM compares pictures of at least {WINDOW} pixels", x, "similarity='spearman'")
    pairs = zip(*(spread(scaled(map), x)[:, 0].double().cpu().numpy() for map in (a, b)), strict=True)
    return x.new_tensor([structural_similarity(*pair, win_size=WINDOW, data_range=2.0) for pair in pairs])


def scaled(a: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Each map divided by its largest magnitude; zero stays zero."""
    largest = a.abs().amax(1, keepdim=True)
    return a / torch.where(largest > 0, largest, 1)
