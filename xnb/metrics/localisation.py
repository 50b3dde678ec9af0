"""Does an explanation lie where the evidence is known to lie? Unit: shares between 0 and 1, by `chance` otherwise.

A mask is the truth only of a model that uses nothing else: show that new backgrounds leave its accuracy and deleted
objects leave chance before you believe one of these numbers. A map that is constant scores as chance does, an empty
mask gives NaN, and a map with a NaN is refused.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.check import require
from xnb.metrics.map_values import mean_ranks, values
from xnb.metrics.neighbours import Method
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Masks, Model, Scores, Target

Flat = Bool[Tensor, "B D"]
ARRAS = "Arras, Osman & Samek 2022, arXiv:2003.07258"


def chance(name: str, masks: Masks, *, side: int = 2) -> Scores:
    """What a metric of this file gives a map that knows nothing, in expectation: for most, the mask's share."""
    known = {"auc": 0.5, "grid_pointing": 1 / side**2}
    share = masks.flatten(1).float().mean(1)
    return torch.full_like(share, known[name]) if name in known else share


@metric(category="localisation", better="higher", paper="Zhang et al. 2018, arXiv:1608.00507", asks=("masks",))
def pointing_game(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    """Whether the largest value lies in the mask: 1 or 0, and a share where several are the largest.

    Chance is the mask's share of the picture, and so is the score of a constant map. One pixel decides: it says
    nothing of the rest of the map. Where objects stand in the middle, compare with the control `centre`.

    Args:
        masks: where the evidence is.
        absolute: look for the largest magnitude instead.

    Raises:
        ValueError: masks or attribution are not those of the pictures `x`, or the attribution is not finite.
    """
    worth, inside = flat(attribution, masks, x, absolute)
    best = worth == worth.amax(1, keepdim=True)
    return found((best & inside).sum(1) / best.sum(1), inside, x)


@metric(category="localisation", better="higher", paper="Wang et al. 2020, arXiv:1910.01279", asks=("masks",))
def energy_pointing(model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks) -> Scores:
    r"""Share of what speaks for the class that lies in the mask, :math:`\sum_{p \in g} a_p^+ / \sum_p a_p^+`.

    Chance is the mask's share of the picture; a map with nothing positive scores as a constant one. Smooth maps
    lose at the mask's border what a map of one pixel keeps: a sharp map is favoured.

    Args:
        masks: where the evidence is.

    Raises:
        ValueError: as `pointing_game`.
    """
    worth, inside = flat(attribution, masks, x)
    return mass(worth.clamp(min=0), inside, x)


@metric(category="localisation", better="higher", paper=ARRAS, asks=("masks",))
def relevance_mass(model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks) -> Scores:
    r"""Share of all magnitudes that lies in the mask, :math:`\sum_{p \in g} |a_p| / \sum_p |a_p|`.

    Evidence against the class counts like evidence for it, so it says where a method looks and not what it says.
    Chance is the mask's share; a map of zeros scores as a constant one.

    Args:
        masks: where the evidence is.

    Raises:
        ValueError: as `pointing_game`.
    """
    worth, inside = flat(attribution, masks, x, absolute=True)
    return mass(worth, inside, x)


@metric(category="localisation", better="higher", paper=ARRAS, asks=("masks",))
def relevance_rank(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    r"""Share of the mask that the K largest values cover, K the mask's size, :math:`|\mathrm{top}_K \cap g| / K`.

    Only the order counts. Values tied at the K-th place are shared out, so that a constant map scores as chance
    does, which is the mask's share of the picture.

    Args:
        masks: where the evidence is.
        absolute: order by magnitude.

    Raises:
        ValueError: as `pointing_game`.
    """
    worth, inside = flat(attribution, masks, x, absolute)
    size = inside.sum(1, keepdim=True)
    last = worth.sort(1, descending=True).values.gather(1, (size - 1).clamp(min=0))
    above, tied = worth > last, worth == last
    left = size.squeeze(1) - above.sum(1)
    hits = (above & inside).sum(1) + left * (tied & inside).sum(1) / tied.sum(1)
    return found(hits / size.squeeze(1), inside, x)


@metric(
    category="localisation", better="higher", paper="Fawcett 2006, doi:10.1016/j.patrec.2005.10.010", asks=("masks",)
)
def auc(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, masks: Masks, absolute: bool = False
) -> Scores:
    """Probability that a pixel of the mask has a larger value than one outside, ties counted half.

    Chance, and a constant map, is 0.5 whatever the mask's size. Most of it is decided among pixels that nobody
    looks at: beside a small mask it is high for any map with a few right pixels in front. A full mask gives NaN.

    Args:
        masks: where the evidence is.
        absolute: order by magnitude.

    Raises:
        ValueError: as `pointing_game`.
    """
    worth, inside = flat(attribution, masks, x, absolute)
    ranks = mean_ranks(worth.T).T
    size = inside.sum(1)
    wins = torch.where(inside, ranks, 0).sum(1) - size.double().square() / 2
    return (wins / (size * (~inside).sum(1))).to(x.dtype)


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

    Each input is put among others of the batch, and the grid is explained anew; the given attribution is not used.
    Chance is 1 / side**2. Nothing keeps the network from using the other cells, so a low score may be the truth;
    and it must take larger pictures, as a network with global pooling does.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        side: cells on a side.
        seed: which inputs stand beside each other, and where.

    Raises:
        ValueError: `x` are no pictures, or the batch has fewer classes than a grid has cells.
    """
    grid = grids(x, target, side=side, seed=seed)
    return energy_pointing(model, grid.x, target, method(model, grid.x, target), masks=grid.masks)


class Grids(NamedTuple):
    """Pictures of `side` x `side` inputs, and for each the cell that shows its target."""

    x: Float[Tensor, "B C *grid"]
    masks: Masks


def grids(x: Batch, target: Target, *, side: int = 2, seed: int = 0) -> Grids:
    """For each input a grid in which it stands at a random place among inputs of other classes, all different.

    Raises:
        ValueError: `x` are no pictures, or the batch has fewer classes than a grid has cells.
    """
    require(x.ndim == 4, "grids: x must be pictures (B, C, H, W)", x, "x = x.view(B, C, H, W)")
    classes, cells = len(target.unique()), side**2
    require(1 <= cells <= classes, f"grids: the batch must have at least {cells} classes", classes, "side=2")
    rng = torch.Generator().manual_seed(seed)
    rows = [row(target.tolist(), i, cells, rng) for i in range(len(x))]
    tiles = x[torch.tensor([members for members, _ in rows], device=x.device)]
    here = torch.tensor([place for _, place in rows], device=x.device)
    mine = torch.nn.functional.one_hot(here, cells).bool().view(-1, cells, 1, 1, 1).expand(-1, -1, 1, *x.shape[2:])
    return Grids(joined(tiles, side), joined(mine, side))


def row(target: list[int], i: int, cells: int, rng: torch.Generator) -> tuple[list[int], int]:
    """Inputs of one grid, in reading order, with input `i` at a random place; and that place."""
    seen, members = {target[i]}, []
    for j in torch.randperm(len(target), generator=rng).tolist():
        if len(members) < cells - 1 and target[j] not in seen:
            seen.add(target[j])
            members.append(j)
    place = int(torch.randint(cells, (), generator=rng))
    return [*members[:place], i, *members[place:]], place


def joined(tiles: Tensor, side: int) -> Tensor:
    """Tiles `(B, side * side, C, H, W)` in reading order as pictures `(B, C, side * H, side * W)`."""
    B, _, C, H, W = tiles.shape
    return tiles.view(B, side, side, C, H, W).permute(0, 3, 1, 4, 2, 5).reshape(B, C, side * H, side * W)


def flat(attribution: Attribution, masks: Masks, x: Batch, absolute: bool = False) -> tuple[Float[Tensor, "B D"], Flat]:
    """Values and masks, a row an input."""
    fits = x.ndim == 4 and masks.dtype == torch.bool and masks.shape == (len(x), 1, *x.shape[2:])
    require(fits, f"metrics: masks must be bool (B, 1, H, W), those of pictures {tuple(x.shape)}", masks, "part.masks")
    worth = values(attribution, x)
    return worth.abs() if absolute else worth, masks.flatten(1)


def mass(worth: Float[Tensor, "B D"], inside: Flat, x: Batch) -> Scores:
    """Share of the mass inside; no mass at all counts as evenly spread."""
    worth = torch.where(worth.sum(1, keepdim=True) > 0, worth, 1)
    return found((worth * inside).sum(1) / worth.sum(1), inside, x)


def found(score: Scores, inside: Flat, x: Batch) -> Scores:
    """The score, NaN where there was nothing to find."""
    return torch.where(inside.any(1), score, torch.nan).to(x.dtype)
