"""What a fast form of a model costs in error, and gains in time, method by method."""

from collections.abc import Iterable, Mapping
from math import nan
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from xnb.access.copies import copy_module
from xnb.check import require
from xnb.methods.calls import attribute
from xnb.metrics.map_values import spearman_correlation
from xnb.types import Attribution, Batch, Knobs, TargetLike


class _Timed(NamedTuple):
    """A map and the seconds of the call that made it."""

    attribution: Attribution
    seconds: float


def measure_fast_form(
    model: nn.Module,
    fast: nn.Module,
    x: Batch,
    target: TargetLike,
    methods: str | Iterable[str] = ("gradient", "integrated_gradients", "occlusion"),
    *,
    knobs: Knobs | None = None,
    double: bool = False,
    rounds: int = 3,
) -> pd.DataFrame:
    r"""Return how far the maps of a fast form lie from those of the model, and how long they take; a row a method.

    .. math:: e_i = \max_p |a^{\text{fast}}_{ip} - a_{ip}| \,/\, \max_p |a_{ip}|

    of each input i. Columns: `error` is the median over inputs, `largest_error` the largest; `rank_correlation` is
    Spearman's over the values of a map, the median, and `least_correlation` the least. `seconds` are those of `model`,
    `fast_seconds` those of `fast`, medians of calls in turn after one that is not counted; `ratio` is the second by the
    first, below 1 where `fast` is faster. `refused` has the first line of a refusal by either, and the row no numbers.

    A ReLU that flips within rounding moves single values by more than all other rounding. Few inputs say little of the
    largest error; inputs unlike the user's say nothing of it. Times are of this machine, and of whatever else it does.

    Args:
        fast: `xnb.prepare(model, x, mixed_precision=True)`, say; any model of the same inputs.
        methods: names in `xnb.catalog()`, or one name.
        knobs: for each method that wants other than its defaults, `{"occlusion": {"window": 8}}`.
        double: errors are those beside a copy of `model` in double precision; those of `model` itself, which has some
            too, are then had by handing it over as `fast`.
        rounds: calls of each of both that are timed.

    Raises:
        ValueError: no round, or what `xnb.attribute` refuses by another rule than that of a method.
    """
    require(rounds >= 1, "measure_fast_form: rounds must be at least 1", rounds, "rounds=1")
    names = [methods] if isinstance(methods, str) else list(methods)
    exact = copy_module(model).double() if double else None
    rows = []
    for name in names:
        asked = (target, name, (knobs or {}).get(name, {}))
        try:
            rows.append(_measure_method(model, fast, exact, x, asked, rounds))
        except ValueError as refusal:
            # a method that the network has nothing for, or that the form cannot answer: the others go on
            rows.append({"refused": str(refusal).splitlines()[0]})
    columns = ["error", "largest_error", "rank_correlation", "least_correlation"]
    columns += ["seconds", "fast_seconds", "ratio", "refused"]
    index = pd.Index(names, name="method")
    table = pd.DataFrame(rows, index, columns)
    return table.fillna({"refused": ""}).astype(dict.fromkeys(columns[:-1], float))


def _measure_method(
    model: nn.Module,
    fast: nn.Module,
    exact: nn.Module | None,
    x: Batch,
    asked: tuple[TargetLike, str, Mapping[str, Any]],
    rounds: int,
) -> dict[str, float | str]:
    """Return the row of one method; errors are beside `exact`, if there is such a model."""
    # The first calls are not counted: they compile, and load what later ones share.
    reference = _time_map(model, x, asked).attribution
    found = _time_map(fast, x, asked).attribution
    if exact is not None:
        reference = _time_map(exact, x.double(), asked).attribution
    pairs = [(_time_map(model, x, asked).seconds, _time_map(fast, x, asked).seconds) for _ in range(rounds)]
    seconds, fast_seconds = (median(times) for times in zip(*pairs, strict=True))
    times = {"seconds": seconds, "fast_seconds": fast_seconds, "ratio": fast_seconds / seconds}
    return {**compare_maps(found, reference), **times, "refused": ""}


def _time_map(model: nn.Module, x: Batch, asked: tuple[TargetLike, str, Mapping[str, Any]]) -> _Timed:
    target, name, knobs = asked
    _wait(x.device)
    start = perf_counter()
    attribution = attribute(model, x, target, name, **knobs)
    _wait(x.device)
    return _Timed(attribution, perf_counter() - start)


def _wait(device: torch.device) -> None:
    """An accelerator has only been told what to do when a call returns."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def compare_maps(found: Attribution, reference: Attribution) -> dict[str, float]:
    """Return the errors and rank correlations of maps beside others, over the inputs; NaN of none, and of maps of zero.

    A correlation is not defined where a map is constant, and such maps are left out.
    """
    if not len(reference):
        return dict.fromkeys(("error", "largest_error", "rank_correlation", "least_correlation"), nan)
    # in double precision, so that the difference itself is not rounded
    maps = reference.double().flatten(1)
    others = found.double().flatten(1)
    errors = (others - maps).abs().amax(1) / maps.abs().amax(1)
    correlations = spearman_correlation(others.T, maps.T)
    defined = correlations[correlations.isfinite()]
    return {
        "error": float(errors.median()),
        "largest_error": float(errors.max()),
        "rank_correlation": float(defined.median()) if len(defined) else nan,
        "least_correlation": float(defined.min()) if len(defined) else nan,
    }
