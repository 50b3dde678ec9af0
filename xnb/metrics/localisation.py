"""Does an explanation lie where the evidence is known to lie? Unit: shares, from 0 to 1.

How large a share is where a map knows nothing, `chance_level` says. "The share of a map on the object" is, unless
another is named, `relevance_mass`: of all magnitudes. `energy_pointing` is that of the positive part alone.

A mask is the truth only of a model that uses nothing else: show that new backgrounds leave its accuracy and deleted
objects leave chance before you believe one of these numbers. A map that is constant scores as chance does, an empty
mask and a full one give NaN, and a map with a NaN is refused.

Masks are drawn along the axes of the units, and have length 1 on the others: (B, 1, H, W) of pictures, (B, 1, T) of
signals, (B, N, 1) of tokens, (B, D) of tables.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.check import require
from xnb.metrics.map_values import mean_ranks, unit_values
from xnb.metrics.neighbours import Method
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

Masks = Bool[Tensor, "B *#shape"]  # where the evidence is; drawn along the axes of the units, 1 on the others
_FlatMasks = Bool[Tensor, "B D"]
_ARRAS = "Arras, Osman & Samek 2022, arXiv:2003.07258"


def chance_level(name: str, masks: Masks, *, side: int = 2) -> Scores:
    """Return what the named metric gives a map that knows nothing, in expectation: for most, the mask's share.

    Args:
        name: of a metric of localisation.
        masks: where the evidence is.
        side: of `grid_pointing`: cells on a side.
    """
    known = {"auc": 0.5, "grid_pointing": 1 / side**2}
    share = masks.flatten(1).float().mean(1)
    return torch.full_like(share, known[name]) if name in known else share


@metric(category="localisation", better="higher", paper="Zhang et al. 2018, arXiv:1608.00507", asks=("masks",))
def pointing_game(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    """Whether the largest value lies in the mask: 1 or 0; where several are the largest, the share of them that does.

    Chance is the mask's share of the picture, and so is the score of a constant map. One pixel decides: it says
    nothing of the rest of the map. Where objects stand in the middle, compare with the control `centre`.

    Args:
        masks: where the evidence is.
        absolute: look for the largest magnitude instead.

    Raises:
        ValueError: masks or attribution are not those of the pictures `x`, or the attribution is not finite.
    """
    values, inside = _flatten_maps(attribution, masks, x, absolute)
    best = values == values.amax(1, keepdim=True)
    hits = (best & inside).sum(1) / best.sum(1)
    return _nan_if_empty_or_full(hits, inside, x)


@metric(category="localisation", better="higher", paper="Wang et al. 2020, arXiv:1910.01279", asks=("masks",))
def energy_pointing(model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks) -> Scores:
    r"""Share of what speaks for the class that lies in the mask, :math:`\sum_{p \in g} a_p^+ / \sum_p a_p^+`.

    What speaks against the class is left out, wherever it lies; `relevance_mass`, the collection's own definition of
    the share on the object, counts its magnitude. Chance is the mask's share of the picture; a map with nothing
    positive scores as a constant one. Smooth maps lose at the mask's border what a map of one pixel keeps.

    Args:
        masks: where the evidence is.

    Raises:
        ValueError: as `pointing_game`.
    """
    values, inside = _flatten_maps(attribution, masks, x)
    return _share_inside(values.clamp(min=0), inside, x)


@metric(category="localisation", better="higher", paper=_ARRAS, asks=("masks",))
def relevance_mass(model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks) -> Scores:
    r"""Share of all magnitudes that lies in the mask, :math:`\sum_{p \in g} |a_p| / \sum_p |a_p|`.

    The collection's definition of the share on the object. Evidence against the class counts like evidence for it, so
    it says where a method looks and not what it says; `energy_pointing` takes the positive part. Chance is the mask's
    share; a map of zeros scores as a constant one.

    Args:
        masks: where the evidence is.

    Raises:
        ValueError: as `pointing_game`.
    """
    magnitudes, inside = _flatten_maps(attribution, masks, x, absolute=True)
    return _share_inside(magnitudes, inside, x)


@metric(category="localisation", better="higher", paper=_ARRAS, asks=("masks",))
def relevance_rank(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    r"""Share of the mask that the K largest values cover, K the mask's size, :math:`|\mathrm{top}_K \cap g| / K`.

    Only the order counts. Where several values are the K-th largest, each counts as a fraction, so that a constant map
    scores as chance does, which is the mask's share of the picture.

    Args:
        masks: where the evidence is.
        absolute: order by magnitude.

    Raises:
        ValueError: as `pointing_game`.
    """
    values, inside = _flatten_maps(attribution, masks, x, absolute)
    mask_size = inside.sum(1)
    last_rank = (mask_size[:, None] - 1).clamp(min=0)  # an empty mask has no such rank, and gives NaN in the end
    last = values.sort(1, descending=True).values.gather(1, last_rank)
    above = values > last
    tied = values == last
    # What is above the K-th value is in the top K; the ties share the ranks that are left.
    ranks_left = mask_size - above.sum(1)
    tied_hits = ranks_left * (tied & inside).sum(1) / tied.sum(1)
    hits = (above & inside).sum(1) + tied_hits
    return _nan_if_empty_or_full(hits / mask_size, inside, x)


@metric(
    category="localisation", better="higher", paper="Fawcett 2006, doi:10.1016/j.patrec.2005.10.010", asks=("masks",)
)
def auc(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    """Probability that a pixel of the mask has a larger value than one outside, ties counted half.

    Chance, and a constant map, is 0.5 whatever the mask's size. Most of it is decided among pixels that nobody
    looks at: with a small mask it is high for any map with a few right pixels in front. A full mask gives NaN.

    Args:
        masks: where the evidence is.
        absolute: order by magnitude.

    Raises:
        ValueError: as `pointing_game`.
    """
    values, inside = _flatten_maps(attribution, masks, x, absolute)
    ranks = mean_ranks(values.T).T
    mask_size = inside.sum(1)
    # A rank counts the pixels that are smaller; n**2 / 2 of these pairs are within the mask (Mann and Whitney's U).
    rank_sum = torch.where(inside, ranks, 0).sum(1)
    wins = rank_sum - mask_size.double().square() / 2
    pairs = mask_size * (~inside).sum(1)
    return (wins / pairs).to(x.dtype)


@metric(
    category="localisation", better="higher", paper="Rao, Boehle & Schiele 2022, arXiv:2205.10435", asks=("method",)
)
def grid_pointing(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    side: int = 2,
    seed: int = 0,
) -> Scores:
    """Share of what speaks for the class that lies in its own cell of a grid of pictures of different classes.

    Each input is put among others of the batch, and the grid is explained anew; the attribution is not used. Chance
    is 1 / side**2. Nothing keeps the network from using the other cells, so a low score may be the truth; and it must
    take larger pictures, as a network with global pooling does.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        side: cells on a side.
        seed: which inputs stand beside each other, and where.

    Raises:
        ValueError: `x` are no pictures, or the batch has fewer classes than a grid has cells.
    """
    _check_grid(x, target, side)
    grid = make_grids(x, target, side=side, seed=seed)
    return energy_pointing(model, grid.x, target, method(model, grid.x, target), masks=grid.masks)


def _check_grid(x: Batch, target: Target, side: int) -> None:
    """Refuse what makes no grid; without pictures of enough classes a mask has to say where the evidence is."""
    rule = "grid_pointing: side must be at least 2, as one cell holds what any map says"
    require(side >= 2, rule, side, "side=2")
    hint = "xnb.metrics.energy_pointing(model, x, target, attribution, masks=x > 0)  # masks: where the evidence is"
    require(x.ndim == 4, "grid_pointing: x must be pictures (B, C, H, W)", x, hint)
    classes = len(target.unique())
    rule = f"grid_pointing: the batch must have at least {side**2} classes"
    require(side**2 <= classes, rule, f"{classes} classes", "side=2" if classes >= 4 else hint)


class _Grids(NamedTuple):
    """Pictures of `side` x `side` inputs, and for each the cell that shows its target."""

    x: Float[Tensor, "B C *grid"]
    masks: Masks


class _GridCells(NamedTuple):
    """Which inputs stand in the cells of one grid, in reading order, and in which cell the explained one stands."""

    inputs: list[int]
    own: int


def make_grids(x: Batch, target: Target, *, side: int = 2, seed: int = 0) -> _Grids:
    """Put each input at a random position of a grid, among inputs of other classes, all different.

    Raises:
        ValueError: `x` are no pictures, or the batch has fewer classes than a grid has cells.
    """
    hint = "x = x.reshape(len(x), 1, -1, x.shape[-1])"
    require(x.ndim == 4, "grids: x must be pictures (B, C, H, W)", x, hint)
    classes = len(target.unique())
    cells = side**2
    rule = f"grids: the batch must have at least {cells} classes"
    require(1 <= cells <= classes, rule, classes, "side=2" if classes >= 4 else "side=1")
    rng = make_generator("mosaics", seed)
    labels = target.tolist()
    grids = [_draw_cells(labels, i, cells, rng) for i in range(len(x))]
    tiles = x[torch.tensor([grid.inputs for grid in grids], device=x.device)]
    own = torch.tensor([grid.own for grid in grids], device=x.device)
    is_own = torch.nn.functional.one_hot(own, cells).bool()
    # A cell's mask is a tile of its own, (B, cells, 1, H, W), and is put together like the pictures.
    height, width = x.shape[2:]
    mask_tiles = is_own[:, :, None, None, None].expand(-1, -1, 1, height, width)
    return _Grids(_join_tiles(tiles, side), _join_tiles(mask_tiles, side))


def _draw_cells(labels: list[int], i: int, cells: int, rng: torch.Generator) -> _GridCells:
    """Draw inputs of other classes than that of input `i`, no class twice, and a random position for `i` itself."""
    classes = {labels[i]}
    others: list[int] = []
    for j in torch.randperm(len(labels), generator=rng).tolist():
        if len(others) < cells - 1 and labels[j] not in classes:
            classes.add(labels[j])
            others.append(j)
    own = int(torch.randint(cells, (), generator=rng))
    return _GridCells([*others[:own], i, *others[own:]], own)


def _join_tiles(tiles: Tensor, side: int) -> Tensor:
    """Return tiles `(B, side * side, C, H, W)` in reading order as pictures `(B, C, side * H, side * W)`."""
    B, _, C, H, W = tiles.shape
    grid = tiles.view(B, side, side, C, H, W)
    lines_of_pixels = grid.permute(0, 3, 1, 4, 2, 5)  # row of the grid, row of the tile, column of the grid, ...
    return lines_of_pixels.reshape(B, C, side * H, side * W)


def _flatten_maps(
    attribution: Attribution, masks: Masks, x: Batch, absolute: bool = False
) -> tuple[Float[Tensor, "B D"], _FlatMasks]:
    """Return the values of each map and of its mask, one row an input."""
    is_bool = isinstance(masks, Tensor) and masks.dtype == torch.bool
    rule = f"metrics: masks must be bool (B, 1, H, W), or broadcast like that to x {tuple(x.shape)}"
    require(is_bool, rule, masks, "masks = torch.as_tensor(masks).bool()")
    same_axes = masks.ndim == x.ndim and len(masks) == len(x)
    pairs = list(zip(masks.shape, x.shape, strict=False))
    fits = same_axes and all(length in {1, whole} for length, whole in pairs)
    require(fits, rule, masks, _suggest_masks(masks, x))
    # The mask says by its shape what a unit is: along an axis of length 1, a map is summed up.
    axes = tuple(axis for axis, (length, whole) in enumerate(pairs) if axis > 0 and length == whole)
    values = unit_values(attribution, x, axes)
    return values.abs() if absolute else values, masks.to(x.device).flatten(1)


def _suggest_masks(masks: Tensor, x: Batch) -> str:
    """The line that makes masks of `x` of what came: the axis of the channels or of the batch may be missing."""
    if masks.shape == x.shape[:1] + x.shape[2:]:
        return "masks = masks.unsqueeze(1)"
    if masks.shape == x.shape[2:]:
        return "masks = masks.expand(len(x), 1, *masks.shape)"
    if masks.shape[1:] == (1, *x.shape[2:]) and len(masks) == 1:
        return "masks = masks.expand(len(x), *masks.shape[1:])"
    return "masks = x[:, :1] > 0  # where the evidence is"


def _share_inside(values: Float[Tensor, "B D"], inside: _FlatMasks, x: Batch) -> Scores:
    """Share of the sum of `values` that lies inside; where the sum is zero, that of a constant map."""
    has_sum = values.sum(1, keepdim=True) > 0
    values = torch.where(has_sum, values, 1)
    share = (values * inside).sum(1) / values.sum(1)
    return _nan_if_empty_or_full(share, inside, x)


def _nan_if_empty_or_full(scores: Scores, inside: _FlatMasks, x: Batch) -> Scores:
    """Return the scores, NaN where the mask is empty or full: every map scores alike there."""
    has_both = inside.any(1) & ~inside.all(1)
    return torch.where(has_both, scores, torch.nan).to(x.dtype)
