"""What a metric reads of an attribution: one number for each unit, be it a pixel, a feature or an instance."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.regions import square_grid
from xnb.check import is_finite, require
from xnb.types import Attribution, Batch


def unit_values(attribution: Attribution, x: Batch) -> Float[Tensor, "B D"]:
    """Return one signed number a unit: a pixel with its channels summed, a feature of a table, an instance of a bag.

    Raises:
        ValueError: the attribution is not that of `x`, or not finite.
    """
    same_axes = attribution.ndim == x.ndim and len(attribution) == len(x)
    lengths = zip(attribution.shape, x.shape, strict=False)
    fits = same_axes and all(length in {1, whole} for length, whole in lengths)
    rule = f"metrics: the attribution must broadcast to x {tuple(x.shape)}, one map an input"
    require(fits, rule, attribution, "attribution = xnb.attribute(model, x, target)")
    rule = "metrics: the attribution must be finite"
    require(is_finite(attribution), rule, "NaN or infinity", "attribution.nan_to_num()")
    attribution = attribution.detach()
    if x.ndim == 4:
        full = attribution.expand(-1, -1, *x.shape[2:])
        return full.sum(1).flatten(1)
    # An axis of one is shared by the units, so it is expanded; axes inside a unit are summed as they are.
    inner_axes = [-1] * (x.ndim - 2)
    full = attribution.expand(-1, x.shape[1], *inner_axes)
    return full.flatten(2).sum(2) if x.ndim > 2 else full


def broadcast_units(units: Tensor, x: Batch) -> Tensor:
    """Return numbers of units, `(..., D)`, in the shape that broadcasts against `x`: `(..., *#shape)`."""
    if x.ndim == 4:
        height_and_width = tuple(x.shape[2:])
        return units.unflatten(-1, height_and_width).unsqueeze(-3)
    inner_axes = [1] * (x.ndim - 2)
    return units.view(*units.shape, *inner_axes)


def part_numbers(x: Batch, side: int) -> Int[Tensor, " D"]:
    """Number of the part that each unit lies in: `side` squares along a picture; of other inputs each unit is a part.

    Raises:
        ValueError: `side < 1`.
    """
    if x.ndim == 4:
        height, width = x.shape[2:]
        return square_grid(height, width, side).flatten().to(x.device)
    return torch.arange(x.shape[1]).to(x.device)


def sum_over_parts(values: Float[Tensor, "B D"], part_of_unit: Int[Tensor, " D"]) -> Float[Tensor, "B M"]:
    """Return the sum of `values` over the units of each part, in double precision."""
    parts = int(part_of_unit.max()) + 1
    sums = values.new_zeros(len(values), parts, dtype=torch.double)
    return sums.index_add_(1, part_of_unit, values.double())


def rank_units(values: Float[Tensor, "B D"], seed: int) -> Int[Tensor, "B D"]:
    """Return each unit's rank from the largest value to the smallest, 0 first; ties are in random order.

    The random order is the same for every input, so that no input's result depends on its neighbours.
    """
    rng = make_generator("order among equals", seed)
    shuffled = torch.randperm(values.shape[1], generator=rng).to(values.device)
    # A stable sort keeps ties in the order in which it finds them, and it finds them shuffled.
    order_of_shuffled = values[:, shuffled].argsort(dim=1, descending=True, stable=True)
    order = shuffled[order_of_shuffled]
    ranks = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks)


def draw_part_sets(parts: int, sizes: Int[Tensor, " N"], seed: int) -> Bool[Tensor, "N M"]:
    """Draw a random set of parts of each size; the attribution plays no role, so methods are compared in pairs."""
    rng = make_generator("sets of parts", seed)
    keys = torch.rand(len(sizes), parts, generator=rng)
    ranks = keys.argsort(dim=1).argsort(dim=1)
    return ranks < sizes[:, None]


def pearson_correlation(a: Float[Tensor, "N B"], b: Float[Tensor, "N B"]) -> Float[Tensor, " B"]:
    """Pearson's correlation over the first axis; NaN where `a` or `b` is constant, as nothing can be said then."""
    products = _standardise_columns(a.double()) * _standardise_columns(b.double())
    return products.sum(0).clamp(-1, 1)


def _standardise_columns(a: Float[Tensor, "N B"]) -> Float[Tensor, "N B"]:
    """Return columns of mean 0 and length 1; NaN where nothing but rounding varies."""
    centred = a - a.mean(0)
    length = centred.norm(dim=0)
    varies = length > 1e-12 * a.norm(dim=0)
    return centred / torch.where(varies, length, torch.nan)


def rank_correlation(a: Float[Tensor, "N B"], b: Float[Tensor, "N B"]) -> Float[Tensor, " B"]:
    """Spearman's correlation over the first axis, ties sharing their mean rank; NaN where `a` or `b` is constant."""
    return pearson_correlation(mean_ranks(a), mean_ranks(b))


def mean_ranks(a: Float[Tensor, "N B"]) -> Float[Tensor, "N B"]:
    """Ranks over the first axis: how many numbers are smaller, plus half of those that are equal."""
    columns = a.T.contiguous()
    ordered = columns.sort(dim=1).values
    smaller = torch.searchsorted(ordered, columns)
    smaller_or_equal = torch.searchsorted(ordered, columns, right=True)
    return ((smaller + smaller_or_equal).double() / 2).T
