"""What is known about each method of data attribution, written beside the method itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xnb.registry import Function, Registry

Needs = Literal["retraining", "parameters", "checkpoints", "many models", "last layer", "inputs"]


@dataclass(frozen=True)
class InfluenceCard:
    """Facts of one method.

    Args:
        needs: what it looks at.
        unit: of its numbers.
        paper: its source.
    """

    needs: Needs
    unit: str
    paper: str


INFLUENCES: Registry[InfluenceCard] = Registry("method", "influence: no method of that name")


def influence(*, needs: Needs, unit: str, paper: str) -> Callable[[Function], Function]:
    """Return a decorator that enters a function in `INFLUENCES` under its own name.

    Its result has a row for each test input and a column for each training input, positive where the training input
    supports the answer: without it the loss would be higher, or the logit lower.
    """
    return INFLUENCES.enter(InfluenceCard(needs, unit, paper))


def catalog() -> pd.DataFrame:
    """Return a table with one row a method: method, needs, unit, paper."""
    return INFLUENCES.table()
