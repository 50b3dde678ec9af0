"""What is known about each metric, kept beside the metric itself."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import pandas as pd

from xnb.check import entry, require

Category = Literal["faithfulness", "localisation", "robustness", "randomisation", "complexity", "axioms"]
Better = Literal["higher", "lower", "neither"]
Asks = Literal["masks", "method", "other"]  # `other`: a model beside the one that is explained
Metric = TypeVar("Metric", bound=Callable)


@dataclass(frozen=True)
class Card:
    """Facts of one metric. `asks` is what it needs beside the attribution: masks, or the method itself."""

    category: Category
    better: Better
    paper: str
    asks: tuple[Asks, ...] = ()


METRICS: dict[str, Callable] = {}
CARDS: dict[str, Card] = {}


def metric(
    *, category: Category, better: Better, paper: str, asks: tuple[Asks, ...] = ()
) -> Callable[[Metric], Metric]:
    """Enter a function in `METRICS` under its own name; the function itself is returned untouched."""

    def enter(function: Metric) -> Metric:
        require(function.__name__ not in METRICS, "metric: names must be unique", function.__name__)
        METRICS[function.__name__] = function
        CARDS[function.__name__] = Card(category, better, paper, asks)
        return function

    return enter


def find(name: str) -> Callable:
    """The metric of that name, or an error with the nearest names."""
    return entry(METRICS, name, "metrics: no metric of that name")


def catalog() -> pd.DataFrame:
    """One row a metric: metric, category, better, paper, asks."""
    return pd.DataFrame([{"metric": name, **asdict(card)} for name, card in CARDS.items()])
