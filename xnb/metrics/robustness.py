"""Does an explanation stay when the input hardly changes?

Lower is steadier, and the steadiest says nothing at all: a constant map scores 0, the best there is. Read these
beside a metric of faithfulness, never alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.ledger import remembered
from xnb.access.score import logits
from xnb.check import require
from xnb.metrics.map_values import values
from xnb.metrics.neighbours import Method, nearby, noise
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

YEH = "Yeh et al. 2019, arXiv:1901.09392"


@metric(category="robustness", better="lower", paper=YEH, asks=("method",))
def max_sensitivity(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    radius: float = 0.02,
    samples: int = 10,
    same_prediction: bool = True,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Largest relative change of the map found near the input, :math:`\max_y \|\phi(y)-\phi(x)\| / \|\phi(x)\|`.

    Unit: none; 0 is steady, 1 a change as large as the map. It is a lower bound that grows with `samples`, so
    compare only at equal ones. NaN where the map is zero, or no neighbour keeps the prediction.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        radius: neighbours lie within this, in each value, drawn uniformly.
        samples: neighbours; the same noise serves every input.
        same_prediction: leave out neighbours that the model puts into another class: their map may well differ.
        seed: seeds a generator of its own.
        chunk: inputs explained in one call; the result does not depend on it.

    Raises:
        ValueError: `radius` or `samples` is not positive.
    """
    near = neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return largest(near.maps) / size(attribution, x)


@metric(category="robustness", better="lower", paper=YEH, asks=("method",))
def average_sensitivity(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    radius: float = 0.02,
    samples: int = 10,
    same_prediction: bool = True,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Mean relative change of the map near the input, :math:`\mathrm{E}_y \|\phi(y)-\phi(x)\| / \|\phi(x)\|`.

    Unit: none. Unlike the largest change it does not grow with `samples`. NaN as in `max_sensitivity`.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        radius: neighbours lie within this, in each value, drawn uniformly.
        samples: neighbours; the same noise serves every input.
        same_prediction: leave out neighbours that the model puts into another class.
        seed: seeds a generator of its own.
        chunk: inputs explained in one call; the result does not depend on it.

    Raises:
        ValueError: as `max_sensitivity`.
    """
    near = neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return near.maps.nanmean(0) / size(attribution, x)


@metric(
    category="robustness",
    better="lower",
    paper="Alvarez-Melis & Jaakkola 2018, arXiv:1806.08049",
    asks=("method",),
)
def local_lipschitz(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    radius: float = 0.02,
    samples: int = 10,
    same_prediction: bool = True,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""Largest change of the map by change of the input, :math:`\max_y \|\phi(y)-\phi(x)\| / \|y-x\|`.

    Unit: that of the attribution per input unit, so methods with different units, or a model with larger logits,
    cannot be compared by it. It is a lower bound that grows with `samples`.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        radius: neighbours lie within this, in each value, drawn uniformly.
        samples: neighbours; the same noise serves every input.
        same_prediction: leave out neighbours that the model puts into another class.
        seed: seeds a generator of its own.
        chunk: inputs explained in one call; the result does not depend on it.

    Raises:
        ValueError: as `max_sensitivity`.
    """
    near = neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return largest(near.maps / near.inputs)


class Neighbours(NamedTuple):
    """How far each map and each input moved, in Euclid's norm; NaN where the neighbour was left out."""

    maps: Float[Tensor, "N B"]
    inputs: Float[Tensor, "N 1"]


def neighbours(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    method: Method,
    radius: float,
    samples: int,
    same_prediction: bool,
    seed: int,
    chunk: int | None,
) -> Neighbours:
    """Explain the neighbours, once for all metrics that ask for the same ones."""
    values(attribution, x)  # refuses what is no map of x
    require(radius > 0, "sensitivity: radius must be positive, in input units", radius, "radius=0.02")
    require(samples >= 1, "sensitivity: samples must be at least 1", samples, "samples=10")

    def run() -> Neighbours:
        moves = radius * noise(x, samples, seed, uniform=True)
        maps, said = x.new_empty(samples, len(x)), logits(model, x).argmax(1) if same_prediction else None
        for some, part, inputs, found in nearby(
            method, model, x, target, lambda some, part: x[part] + moves[some], samples, chunk=chunk
        ):
            maps[some, part] = (found - attribution[part].detach()).flatten(2).norm(dim=2)
            if said is not None:
                kept = logits(model, inputs.flatten(0, 1)).argmax(1).view(inputs.shape[:2]) == said[part]
                maps[some, part] = torch.where(kept, maps[some, part], torch.nan)
        return Neighbours(maps, moves.flatten(1).norm(dim=1, keepdim=True))

    question = ("neighbours", model, x, target, attribution, method, radius, samples, same_prediction, seed)
    return remembered(question, run)


def largest(moves: Float[Tensor, "N B"]) -> Scores:
    """Over the neighbours that were kept; NaN where none was."""
    kept = ~moves.isnan()
    return torch.where(kept.any(0), torch.where(kept, moves, 0).amax(0), torch.nan)


def size(attribution: Attribution, x: Batch) -> Scores:
    """Euclid's norm of each map, NaN where it is zero: no change is relative to nothing."""
    norm = attribution.detach().flatten(1).norm(dim=1)
    return torch.where(norm > 0, norm, torch.nan)
