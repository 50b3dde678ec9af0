"""Records that another class is seen in: the nearest real one, and changes of few features."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.score import logits
from xnb.check import require
from xnb.insight.counterfactuals.pixels import Changed
from xnb.types import Batch, Model, Target

_TRIES = 64  # values of a set of features that are tried together


def nearest_records(model: Model, x: Float[Tensor, "B F"], goal: Target, records: Float[Tensor, "N F"]) -> Changed:
    """The nearest real record that the model answers with the goal: plausible, as it exists, and mostly far away.

    Distance is the mean over features of the difference in units of their mean absolute deviation.

    Args:
        records: those that may be returned, such as the training part.
    """
    answers = logits(model, records).argmax(1)
    distance = measure_distance(x, records, records)
    distance = distance.masked_fill(answers[None] != goal[:, None], torch.inf)
    nearest, position = distance.min(1)
    reached = nearest.isfinite()
    return Changed(torch.where(reached[:, None], records[position], x), reached)


def measure_distance(
    x: Float[Tensor, "B F"], others: Float[Tensor, "N F"], records: Float[Tensor, "M F"]
) -> Float[Tensor, "B N"]:
    """Mean over the features of the difference, in units of each one's mean absolute deviation in the records."""
    scale = (records - records.median(0).values).abs().mean(0)
    difference = (x[:, None] - others[None]).abs()
    return (difference / scale).mean(2)


def change_records(
    model: Model,
    x: Float[Tensor, "B F"],
    goal: Target,
    records: Float[Tensor, "N F"],
    *,
    fixed: Collection[int] = (),
    most: int = 4,
    samples: int = 50,
    seed: int = 0,
) -> Changed:
    """A change of few features after which the model answers with the goal, by random search.

    As DiCE does where it searches at random (arXiv:1905.07697): sets of one feature, then of two, and so on, are tried
    with values that real records have in them, and of those that reach the goal the nearest is returned. It misleads
    where features go together: a change of one alone may be no patient that there is.

    Args:
        records: whose values may be taken.
        fixed: numbers of the features that must not change, such as the age.
        most: features that change.
        samples: sets of features of each size.

    Raises:
        ValueError: no feature may change.
    """
    # in their order, so that the draws are the same for every way to name the fixed ones
    free = sorted(set(range(x.shape[1])) - set(fixed))
    require(bool(free), "change_records: at least one feature must be free", fixed, "fixed=[]")
    search = _Search(model, records, free, min(most, len(free)), samples, seed)
    found = [search.change(row, int(k)) for row, k in zip(x, goal, strict=True)]
    # a record without a change that reaches the goal stays what it was
    reached = torch.tensor([row is not None for row in found], device=x.device)
    changed = [old if row is None else row for old, row in zip(x, found, strict=True)]
    return Changed(torch.stack(changed), reached)


@dataclass(frozen=True, eq=False)
class _Search:
    """What the searches of all records have in common; see `change_records`."""

    model: Model
    records: Batch
    free: list[int]
    most: int
    samples: int
    seed: int

    def change(self, row: Float[Tensor, " F"], goal: int) -> Float[Tensor, " F"] | None:
        """Return the nearest of the changes of the fewest features that reach the goal."""
        generator = make_generator("changes of records", self.seed)
        for count in range(1, self.most + 1):
            candidates = torch.cat([self._draw_values(row, count, generator) for _ in range(self.samples)])
            reached = candidates[logits(self.model, candidates).argmax(1) == goal]
            if len(reached):
                return reached[measure_distance(row[None], reached, self.records)[0].argmin()]
        return None

    def _draw_values(self, row: Float[Tensor, " F"], count: int, generator: torch.Generator) -> Batch:
        """Return the record with `count` of its features taken from real ones, all from one record each time."""
        order = torch.randperm(len(self.free), generator=generator)
        features = [self.free[k] for k in order[:count]]
        donors = torch.randint(len(self.records), (_TRIES,), generator=generator)
        candidates = row.repeat(_TRIES, 1)
        candidates[:, features] = self.records[donors][:, features]
        return candidates


def rank_distance(
    x: Float[Tensor, "B F"], records: Float[Tensor, "N F"], *, neighbours: int = 5
) -> Float[Tensor, " B"]:
    """Share of real records that are no farther from their own neighbours than x is from its: 1 is as far as any.

    A measure of how plausible a record is: near 0 in the thick of them. The distance is that to the `neighbours`-th
    nearest record; a record that is among them has itself as one.

    Raises:
        ValueError: as many neighbours as there are records, or none.
    """
    fits = 1 <= neighbours < len(records)
    require(fits, "rank_distance: neighbours must be fewer than the records", neighbours, "neighbours=5")
    of_records = measure_distance(records, records, records).kthvalue(neighbours + 1, 1).values
    of_x = measure_distance(x, records, records).kthvalue(neighbours, 1).values
    is_nearer = of_records[None] <= of_x[:, None]
    return is_nearer.to(x.dtype).mean(1)
