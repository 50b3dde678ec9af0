"""What is known about each metric, written beside the metric itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, cast

import pandas as pd

from xnb.access.targets import read_target
from xnb.metrics.arguments import check_asked, read_attribution, read_values
from xnb.registry import Function, Registry, check_knobs
from xnb.types import Model, Scores, TargetLike

Category = Literal["faithfulness", "localisation", "robustness", "randomisation", "complexity", "axioms"]
Better = Literal["higher", "lower", "neither"]
Asks = Literal["masks", "method", "other"]  # `other`: a model beside the one that is explained


@dataclass(frozen=True)
class MetricCard:
    """Facts of one metric. `asks` is what it needs beside the attribution: masks, or the method itself."""

    category: Category
    better: Better
    paper: str
    asks: tuple[Asks, ...] = ()


METRICS: Registry[MetricCard] = Registry("metric", "metrics: no metric of that name")


def metric(
    *, category: Category, better: Better, paper: str, asks: tuple[Asks, ...] = ()
) -> Callable[[Function], Function]:
    """Return a decorator that enters a function in `METRICS` under its own name.

    What comes back is the function, which now reads its arguments first: a target may be one number for all, a list
    or an array, a map an array or of another dtype; of no inputs there are no scores.
    """
    enter = METRICS.enter(MetricCard(category, better, paper, asks))

    def decorate(function: Function) -> Function:
        name = function.__name__

        @wraps(function)
        def read_and_measure(model: Model, x: Any, target: TargetLike, attribution: Any, **knobs: Any) -> Scores:
            check_knobs(function, knobs, name)
            check_asked(asks, knobs, name)
            x = read_values(model, x, name)
            if not len(x):
                return x.new_empty(0)
            scores = function(model, x, read_target(target, x), read_attribution(attribution, x), **knobs)
            return scores.to(x.dtype)  # whatever the map is of

        return enter(cast(Function, read_and_measure))

    return decorate


def catalog() -> pd.DataFrame:
    """Return a table with one row a metric: metric, category, better, paper, asks."""
    return METRICS.table()
