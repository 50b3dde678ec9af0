"""What may be removed from an input, and what stands there then: the regions of an input as players of a game."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.score import changed_scores
from xnb.check import require
from xnb.types import Attribution, Batch, Model, Target

SIDE = 7  # squares along each side of a picture: 49 players, as RISE and LIME users take them


@dataclass(frozen=True)
class Game:
    """A coalition of regions keeps its values, all others are set to `start`; the score is what it wins."""

    model: Model
    x: Batch
    target: Target
    start: Batch
    regions: Int[Tensor, "*#shape"]
    players: int
    chunk: int | None

    def values(self, coalitions: Bool[Tensor, "N M"], rows: Tensor | None = None) -> Float[Tensor, "N b"]:
        """What each coalition wins for each input, or for some `rows`; small, and so in double on the processor."""
        x, start, target = (given if rows is None else given[rows] for given in (self.x, self.start, self.target))
        kept = coalitions.to(x)  # as numbers: exact at 0 and 1, and four times as fast as choosing by truth

        def change(some: slice, part: slice) -> Tensor:
            return torch.lerp(start[part], x[part], kept[some][:, None, self.regions])

        return changed_scores(self.model, x, target, change, len(coalitions), chunk=self.chunk).cpu().double()

    def spread(self, worth: Float[Tensor, "B M"]) -> Attribution:
        """Every value of an input carries the worth of its region."""
        return worth.to(self.x)[:, self.regions]


def game(
    model: Model,
    x: Batch,
    target: Target,
    regions: Int[Tensor, "..."] | None,
    baseline: Tensor | float,
    chunk: int | None,
    side: int = SIDE,
) -> Game:
    """The game of a batch; without `regions`, `side` squares along a picture, or each value of other inputs."""
    parts = partition(regions, x, side)
    return Game(model, x, target, expanded(baseline, x), parts, int(parts.max()) + 1, chunk)


def expanded(baseline: Tensor | float, x: Batch) -> Batch:
    """The baseline of each input: a number or a tensor, broadcast against `x`.

    Raises:
        ValueError: it does not broadcast to `x`, or is of another dtype or on another device.
    """
    given, hint = baseline if isinstance(baseline, Tensor) else x.new_tensor(baseline), "baseline=torch.zeros_like(x)"
    alike = given.dtype == x.dtype and given.device == x.device
    require(alike, f"baseline: must have x's dtype and device, {x.dtype} on {x.device}", given, hint)
    try:
        return given.expand_as(x)
    except RuntimeError:
        require(False, f"baseline: must broadcast to x {tuple(x.shape)}", baseline, hint)


def grid(height: int, width: int, cells: int = SIDE) -> Int[Tensor, "H W"]:
    """Number of the square that each pixel lies in: at most `cells` along each side, the last ones may be smaller.

    Raises:
        ValueError: `cells < 1`.
    """
    require(cells >= 1, "grid: cells must be at least 1", cells, f"grid({height}, {width}, cells=7)")
    rows, columns = (torch.arange(length) // -(-length // cells) for length in (height, width))
    return rows[:, None] * (columns[-1] + 1) + columns


def partition(regions: Int[Tensor, "..."] | None, x: Batch, side: int = SIDE) -> Int[Tensor, "*#shape"]:
    """Number of the region that each value of an input lies in, with an axis for each of the input's.

    Raises:
        ValueError: `regions` are not integers, do not fit an input, or leave a number out.
    """
    shape = x.shape[1:]
    if regions is None:
        found = grid(*x.shape[2:], side) if x.ndim == 4 else torch.arange(shape.numel()).view(shape)
        return found.view(*[1] * (len(shape) - found.ndim), *found.shape).to(x.device)
    whole = not regions.is_floating_point() and regions.dtype != torch.bool
    require(whole, "regions: must be integers", regions, "regions = regions.long()")
    found = regions.view(*[1] * (len(shape) - regions.ndim), *regions.shape)
    found = found.squeeze(0) if found.ndim == x.ndim and len(found) == 1 else found
    fits = found.ndim == len(shape) and all(a in {1, b} for a, b in zip(found.shape, shape, strict=True))
    require(fits, f"regions: must broadcast to one input {tuple(shape)}, one map for the batch", regions, "regions[0]")
    numbered = found.numel() > 0 and int(found.min()) == 0 and bool((torch.bincount(found.flatten().long()) > 0).all())
    hint = "regions = torch.unique(regions, return_inverse=True)[1]"
    require(numbered, "regions: must be numbered 0, 1, 2, ... without a gap", regions.unique().tolist(), hint)
    return found.long().to(x.device)
