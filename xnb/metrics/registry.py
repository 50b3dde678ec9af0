"""What is known about each metric, written beside the metric itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xnb.registry import Function, Registry

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
    """Return a decorator that enters a function in `METRICS` under its own name, and leaves the function as it is."""
    return METRICS.enter(MetricCard(category, better, paper, asks))


def catalog() -> pd.DataFrame:
    """Return a table with one row a metric: metric, category, better, paper, asks."""
    return METRICS.table()
