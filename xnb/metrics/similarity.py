"""How similar two maps of the same inputs are. Unit: none, 1 for equal maps.

`map_similarity` compares maps of an input `x`, whose units it asks of `x`. `rank_correlation` and
`top_within_one_cell` compare two maps as they are, cell by cell, also where no map is one of the input: a layer's
7 x 7 cells, the tokens of a text.
"""

from typing import Literal

import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn.functional import avg_pool2d

from xnb.access.units import Axes, Units
from xnb.check import is_finite, require
from xnb.metrics.map_values import broadcast_units, spearman_correlation, unit_values
from xnb.metrics.units import find_axes
from xnb.types import Attribution, Batch, Scores

Similarity = Literal["spearman", "spearman_abs", "ssim"]
_SSIM_WINDOW = 7  # pixels, what scikit-image compares at once
_Grid = Float[Tensor, "B h w"]  # one number a cell; a sequence is a grid of one row


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
    correlations = spearman_correlation(first.T, second.T)
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


def rank_correlation(a: Attribution, b: Attribution, *, sizes: bool = False) -> Float[Tensor, " B"]:
    r"""Return Spearman's correlation over the cells of two maps, one number an input.

    .. math:: \rho = \mathrm{corr}(\mathrm{rank}(a), \mathrm{rank}(b))

    1: the cells stand in the same order, -1: in the opposite order, 0: one order says nothing of the other. Ties share
    their mean rank. Maps of smooth methods are alike in most cells that do not matter, so a correlation may be high
    where the largest cells differ: see `top_within_one_cell`. Neighbouring cells depend on each other, so the p-value
    of a correlation over cells is too small: estimate over inputs instead.

    Args:
        a: pictures `(B, C, h, w)`, whose channels are summed first, as every metric does; sequences `(B, N)`,
            `(B, 1, N)` or `(B, N, 1)`.
        b: as `a`, with as many cells; its channels may be other ones.
        sizes: compare magnitudes, so that evidence against a class counts like evidence for it.

    Returns:
        NaN where a map is constant, and with `sizes` where its magnitudes are: nothing is ordered there. Two equal
        constant maps are no exception, unlike in `map_similarity`.

    Raises:
        ValueError: maps of other forms, of other numbers of cells or inputs, or not finite.
    """
    first, second = _pair_of_grids(a, b)
    if sizes:
        first = first.abs()
        second = second.abs()
    columns = first.flatten(1).T
    other_columns = second.flatten(1).T
    return spearman_correlation(columns, other_columns)


def top_within_one_cell(a: Attribution, b: Attribution) -> Float[Tensor, " B"]:
    r"""Return 1 where the largest magnitudes of two maps lie in the same cell or in neighbouring ones, else 0.

    .. math:: 1 \text{ if } \max(|i_a - i_b|, |j_a - j_b|) \le 1, \qquad (i_a, j_a) = \arg\max_{ij} |a_{ij}|

    A cell of a grid has eight neighbours, one of a sequence two. Where several cells are the largest, the answer is
    the share of the pairs of them, one of `a` and one of `b`, that are neighbours or the same: what a random choice
    among ties gives on average. So a constant map scores as chance does.

    Chance, two cells drawn alike from a grid, is :math:`(3h - 2)(3w - 2) / (hw)^2`: 0.39 of 4 x 4 cells, 0.15 of
    7 x 7, and large maps are seldom so near. Two maps that both peak in the middle agree for that reason alone:
    compare with the control `centre`.

    Args:
        a: as in `rank_correlation`.
        b: as in `rank_correlation`.

    Raises:
        ValueError: as `rank_correlation`.
    """
    first, second = _pair_of_grids(a, b)
    top = _largest_cells(first)
    other_top = _largest_cells(second)
    # How many of the other's largest cells lie within one cell: the mean of 3 x 3 cells, zeros around the border.
    padded_mean = avg_pool2d(other_top[:, None], 3, stride=1, padding=1)
    near = 9 * padded_mean[:, 0]
    near_pairs = (top * near).sum((1, 2))
    pairs = top.sum((1, 2)) * other_top.sum((1, 2))
    return near_pairs / pairs


def _largest_cells(grid: _Grid) -> _Grid:
    """Return 1 where a cell's magnitude is the largest of its map, 0 elsewhere."""
    magnitudes = grid.abs()
    largest = magnitudes.amax((1, 2), keepdim=True)
    return (magnitudes == largest).double()


def _pair_of_grids(a: Attribution, b: Attribution) -> tuple[_Grid, _Grid]:
    """Return both maps as grids of the same cells."""
    first = _as_grid(a, "a")
    second = _as_grid(b, "b")
    resized = "b = torch.nn.functional.interpolate(b, a.shape[2:], mode='area')"
    can_be_resized = len(first) == len(second) and a.ndim == b.ndim > 2
    hint = resized if can_be_resized else "b = xnb.attribute(model, x, target, 'occlusion')  # of the same x as a"
    fits = first.shape == second.shape
    require(fits, f"metrics: b must have the inputs and cells of a, {tuple(a.shape)}", b, hint)
    return first, second


def _as_grid(values: Attribution, name: str) -> _Grid:
    """Return a map with one number a cell, channels summed, in double precision; a sequence is one row.

    Args:
        name: what the caller calls it, for a refusal.
    """
    pictures = values.ndim == 4
    # Of (B, n, m) nobody can say whether n is channels, or one side of a grid.
    is_sequence = values.ndim == 2 or (values.ndim == 3 and 1 in values.shape[1:])
    rule = f"metrics: {name} must be maps of pictures (B, C, h, w), or of sequences (B, 1, N)"
    line = f"{name} = {name}.reshape(len({name}), 1, -1, {name}.shape[-1])  # or sum what lies within a cell"
    require(pictures or is_sequence, rule, values, line)
    numbers = values.detach().double()
    grid = numbers.sum(1) if pictures else numbers.flatten(1)[:, None]
    require(is_finite(grid), f"metrics: {name} must be finite", "NaN or infinity", f"{name} = {name}.nan_to_num()")
    return grid
