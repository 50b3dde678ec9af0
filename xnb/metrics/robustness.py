"""Does an explanation stay when the input hardly changes?

Lower is steadier, and the steadiest says nothing at all: a constant map scores 0, the best there is. Read these
beside a metric of faithfulness, never alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.memo import answer_once
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.check import require
from xnb.metrics.arguments import check_map
from xnb.metrics.neighbours import Method, explain_changes, shared_noise
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

_YEH = "Yeh et al. 2019, arXiv:1901.09392"


@metric(category="robustness", better="lower", paper=_YEH, asks=("method",))
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
    changes = _measure_neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return _largest_change(changes.maps) / _map_norm(attribution)


@metric(category="robustness", better="lower", paper=_YEH, asks=("method",))
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
    changes = _measure_neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return changes.maps.nanmean(0) / _map_norm(attribution)


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
    changes = _measure_neighbours(model, x, target, attribution, method, radius, samples, same_prediction, seed, chunk)
    return _largest_change(changes.maps / changes.inputs)


class _NeighbourChanges(NamedTuple):
    """How far each map and each input moved, in Euclid's norm; a map's is NaN where the neighbour was left out."""

    maps: Float[Tensor, "N B"]
    inputs: Float[Tensor, "N 1"]


def _measure_neighbours(
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
) -> _NeighbourChanges:
    """Explain the neighbours, once for all metrics that ask for the same ones, and measure the changes."""
    check_map(attribution, x)
    require(radius > 0, "sensitivity: radius must be positive, in input units", radius, "radius=0.02")
    require(samples >= 1, "sensitivity: samples must be at least 1", samples, "samples=10")

    def measure() -> _NeighbourChanges:
        moves = radius * shared_noise(x, samples, seed, uniform=True)  # (N, 1, *shape): one move for all inputs
        _require_moved(x, moves[0], radius)
        predicted = predict_class(logits(model, x)) if same_prediction else None
        changes = x.new_empty(samples, len(x))

        def move(draws: slice, rows: slice) -> Tensor:
            return x[rows] + moves[draws]

        for draws, rows, inputs, attributions in explain_changes(method, model, x, target, move, samples, chunk=chunk):
            # inputs and attributions: (draws, rows, *shape)
            differences = _sum_shared(attributions, attribution) - attribution[rows].detach()
            changes[draws, rows] = differences.flatten(2).norm(dim=2)
            if predicted is not None:
                # Across the border of a class the evidence is another one: such a neighbour says nothing here.
                with select_rows(rows, len(x), len(inputs)):
                    classes = predict_class(logits(model, inputs.flatten(0, 1)))
                same_class = classes.view(inputs.shape[:2]) == predicted[rows]
                changes[draws, rows] = torch.where(same_class, changes[draws, rows], torch.nan)
        return _NeighbourChanges(changes, moves.flatten(1).norm(dim=1, keepdim=True))

    # All that the changes depend on; `chunk` is none of it.
    request = ("neighbours", model, x, target, attribution, method, radius, samples, same_prediction, seed)
    return answer_once(request, measure)


def _require_moved(x: Batch, move: Tensor, radius: float) -> None:
    """Refuse a radius below the rounding of the inputs: every map would be perfectly steady."""
    moved = (x + move != x).flatten(1).any(1)
    hint = f"radius={0.01 * float(x.abs().max()):.2g}" if len(x) else ""
    require(bool(moved.all()), f"sensitivity: radius must move every input, in {x.dtype}", radius, hint)


def _sum_shared(maps: Float[Tensor, "n b *#shape"], attribution: Attribution) -> Float[Tensor, "n b *#shape"]:
    """Sum maps over the axes that the attribution has summed, channels say, so that like is compared with like."""
    lengths = zip(maps.shape[2:], attribution.shape[1:], strict=True)
    summed = [axis for axis, (length, wanted) in enumerate(lengths, 2) if wanted == 1 and length > 1]
    maps = maps.sum(summed, keepdim=True) if summed else maps
    fits = maps.shape[2:] == attribution.shape[1:]
    rule = "sensitivity: the attribution must be the method's own map, or its sum over some axes"
    require(fits, rule, attribution, "attribution = method(model, x, target)")
    return maps


def _largest_change(changes: Float[Tensor, "N B"]) -> Scores:
    """Return the largest change over the neighbours that were not left out; NaN where all were."""
    present = ~changes.isnan()
    largest = torch.where(present, changes, 0).amax(0)
    return torch.where(present.any(0), largest, torch.nan)


def _map_norm(attribution: Attribution) -> Scores:
    """Euclid's norm of each map, NaN where it is zero: no change is relative to nothing."""
    norm = attribution.detach().flatten(1).norm(dim=1)
    return torch.where(norm > 0, norm, torch.nan)
