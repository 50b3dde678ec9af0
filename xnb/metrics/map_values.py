"""What a metric reads of an attribution: one number for each unit, be it a pixel, a feature or an instance."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.regions import grid
from xnb.check import finite, require
from xnb.types import Attribution, Batch


def values(attribution: Attribution, x: Batch) -> Float[Tensor, "B D"]:
    """One signed number a pixel, the sum over its channels; of a table one a feature, of other inputs one an instance.

    Raises:
        ValueError: the attribution is not that of `x`, or not finite.
    """
    pairs = zip(attribution.shape[1:], x.shape[1:], strict=False)
    fits = attribution.ndim == x.ndim and len(attribution) == len(x) and all(a in {1, b} for a, b in pairs)
    hint = "attribution = xnb.attribute(model, x, target)"
    require(fits, f"metrics: the attribution must broadcast to x {tuple(x.shape)}, one map an input", attribution, hint)
    hint = "attribution.nan_to_num()"
    require(finite(attribution), "metrics: the attribution must be finite", "NaN or infinity", hint)
    attribution = attribution.detach()
    if x.ndim == 4:
        return attribution.expand(-1, -1, *x.shape[2:]).sum(1).flatten(1)
    full = attribution.expand(-1, x.shape[1], *[-1] * (x.ndim - 2))
    return full.flatten(2).sum(2) if x.ndim > 2 else full


def spread(units: Tensor, x: Batch) -> Tensor:
    """Numbers `(..., D)` of units in the shape that broadcasts against `x`: `(..., *#shape)`."""
    if x.ndim == 4:
        return units.unflatten(-1, tuple(x.shape[2:])).unsqueeze(-3)
    return units.view(*units.shape, *[1] * (x.ndim - 2))


def parts(x: Batch, side: int) -> Int[Tensor, " D"]:
    """Number of the part that each unit lies in: `side` squares along a picture; of other inputs each unit is a part.

    Raises:
        ValueError: `side < 1`.
    """
    found = grid(*x.shape[2:], side).flatten() if x.ndim == 4 else torch.arange(x.shape[1])
    return found.to(x.device)


def summed(worth: Float[Tensor, "B D"], where: Int[Tensor, " D"]) -> Float[Tensor, "B M"]:
    """Sum over the units of each part, in double precision."""
    total = worth.new_zeros(len(worth), int(where.max()) + 1, dtype=torch.double)
    return total.index_add_(1, where, worth.double())


def ranks(worth: Float[Tensor, "B D"], seed: int) -> Int[Tensor, "B D"]:
    """Place of each unit in the order from the largest to the smallest, 0 first; ties in random order.

    The random order is the same for every input, so that no input's result depends on its neighbours.
    """
    mixed = torch.randperm(worth.shape[1], generator=torch.Generator().manual_seed(seed)).to(worth.device)
    order = mixed[worth[:, mixed].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(worth.shape[1], device=worth.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def subsets(units: int, sizes: Int[Tensor, " N"], seed: int) -> Bool[Tensor, "N M"]:
    """A random subset of each size: the same whatever the attribution, so that methods are compared in pairs."""
    keys = torch.rand(len(sizes), units, generator=torch.Generator().manual_seed(seed))
    return keys.argsort(dim=1).argsort(dim=1) < sizes[:, None]


def correlation(a: Float[Tensor, "N B"], b: Float[Tensor, "N B"]) -> Float[Tensor, " B"]:
    """Pearson's, over the first axis; NaN where one of them is constant, as nothing can be said then."""
    a, b = (standardised(given.double()) for given in (a, b))
    return (a * b).sum(0).clamp(-1, 1)


def standardised(a: Float[Tensor, "N B"]) -> Float[Tensor, "N B"]:
    """Columns of mean 0 and length 1; NaN where what varies is rounding."""
    moved = a - a.mean(0)
    length = moved.norm(dim=0)
    return moved / torch.where(length > 1e-12 * a.norm(dim=0), length, torch.nan)


def rank_correlation(a: Float[Tensor, "N B"], b: Float[Tensor, "N B"]) -> Float[Tensor, " B"]:
    """Spearman's, ties sharing their mean rank; NaN where one of them is constant."""
    return correlation(mean_ranks(a), mean_ranks(b))


def mean_ranks(a: Float[Tensor, "N B"]) -> Float[Tensor, "N B"]:
    """Ranks over the first axis: how many are smaller, plus half of the ties."""
    columns = a.T.contiguous()
    ordered = columns.sort(dim=1).values
    low = torch.searchsorted(ordered, columns)
    high = torch.searchsorted(ordered, columns, right=True)
    return ((low + high).double() / 2).T
