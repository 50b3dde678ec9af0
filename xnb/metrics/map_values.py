"""What a metric reads of an attribution: one number for each unit, be it a pixel, a step, a feature or an instance."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.regions import piece_grid
from xnb.access.units import INSTANCES, Axes
from xnb.check import require
from xnb.metrics.arguments import check_map
from xnb.types import Attribution, Batch

FEW_PARTS = 16
MANY_PARTS = 64  # so that a set of them is hardly ever a single object


def unit_values(attribution: Attribution, x: Batch, axes: Axes) -> Float[Tensor, "B D"]:
    """Return one signed number a unit, what lies within a unit summed: of a pixel its channels.

    An axis of length 1 is shared: along `axes` it is expanded, within a unit it counts once.

    Raises:
        ValueError: the attribution is not that of `x`, or not finite.
    """
    check_map(attribution, x)
    sizes = [x.shape[axis] if axis in axes else -1 for axis in range(x.ndim)]
    full = attribution.detach().expand(sizes)
    inner = [axis for axis in range(1, x.ndim) if axis not in axes]
    summed = full.sum(inner) if inner else full
    return summed.flatten(1)


def broadcast_units(units: Tensor, x: Batch, axes: Axes) -> Tensor:
    """Return numbers of units, `(..., D)`, in the shape that broadcasts against `x`: `(..., *#shape)`."""
    return units.unflatten(-1, [x.shape[axis] if axis in axes else 1 for axis in range(1, x.ndim)])


def part_numbers(x: Batch, axes: Axes, side: int | None, about: int = FEW_PARTS) -> Int[Tensor, " D"]:
    """Number of the part that each unit lies in: `side` pieces along each axis of places; of instances each is a part.

    Args:
        about: where `side` is None there are so many parts: that many pieces of a signal, squares of a picture with
            its root on a side, blocks of a volume.

    Raises:
        ValueError: `side < 1`.
    """
    lengths = torch.Size([x.shape[axis] for axis in axes])
    if axes == INSTANCES:
        return torch.arange(lengths.numel(), device=x.device)
    dimensions = sum(length > 1 for length in lengths)
    cells = round(about ** (1 / max(1, dimensions))) if side is None else side
    require(cells >= 1, "metrics: side must be at least 1, pieces along an axis", side, "side=4")
    return piece_grid(lengths, cells).flatten().to(x.device)


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
    keys = torch.rand(len(sizes), parts, generator=rng, dtype=torch.float32)
    ranks = keys.argsort(dim=1).argsort(dim=1)
    return ranks < sizes[:, None]


def draw_squares(x: Batch, axes: Axes, samples: int, seed: int) -> Bool[Tensor, "N D"]:
    """Draw squares of every size up to half of the shortest side, or random sets of a table's or bag's units.

    Of a signal they are intervals, of a volume cubes.
    """
    rng = make_generator("squares", seed)
    lengths = [x.shape[axis] for axis in axes]
    if axes == INSTANCES:
        sizes = torch.randint(1, lengths[0] + 1, (samples,), generator=rng)
        return draw_part_sets(lengths[0], sizes, seed).to(x.device)
    long = [length for length in lengths if length > 1]
    largest = max(1, min(long) // 2)
    size = torch.randint(1, largest + 1, (samples, 1), generator=rng)
    squares = torch.ones(samples, 1, dtype=torch.bool)
    for length in long:
        # No square is cut at the border: it would be smaller than the size that was drawn.
        interval = _place_intervals(length, size, torch.rand(samples, 1, generator=rng, dtype=torch.float32))
        squares = (squares[:, :, None] & interval[:, None]).flatten(1)
    return squares.to(x.device)


def _place_intervals(length: int, size: Int[Tensor, "N 1"], at: Float[Tensor, "N 1"]) -> Bool[Tensor, "N L"]:
    """Masks of intervals of that size, at the share `at` of the positions at which they fit."""
    start = (at * (length - size + 1)).long()
    position = torch.arange(length)
    return (start <= position) & (position < start + size)


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


def spearman_correlation(a: Float[Tensor, "N B"], b: Float[Tensor, "N B"]) -> Float[Tensor, " B"]:
    """Spearman's correlation over the first axis, ties sharing their mean rank; NaN where `a` or `b` is constant."""
    return pearson_correlation(mean_ranks(a), mean_ranks(b))


def mean_ranks(a: Float[Tensor, "N B"]) -> Float[Tensor, "N B"]:
    """Ranks over the first axis: how many numbers are smaller, plus half of those that are equal."""
    columns = a.T.contiguous()
    ordered = columns.sort(dim=1).values
    smaller = torch.searchsorted(ordered, columns)
    smaller_or_equal = torch.searchsorted(ordered, columns, right=True)
    return ((smaller + smaller_or_equal).double() / 2).T


def histogram_entropy(values: Float[Tensor, "B D"], bins: int) -> Float[Tensor, " B"]:
    """Entropy of the histogram of each map's values, in nats."""
    values = values.double()
    low = values.amin(1, keepdim=True)
    high = values.amax(1, keepdim=True)
    width = torch.where(high > low, high - low, 1)
    bin_of_value = ((values - low) / width * bins).long()
    bin_of_value = bin_of_value.clamp(max=bins - 1)  # the largest value lies on the edge of the last bin
    counts = values.new_zeros(len(values), bins)
    counts.scatter_add_(1, bin_of_value, torch.ones_like(values))
    return torch.special.entr(counts / values.shape[1]).sum(1)
