"""What is known about each method, kept beside the method itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xnb.registry import Function, Registry

Family = Literal["control", "gradient", "rules", "cam", "attention", "perturbation"]
Needs = Literal["nothing", "forward", "gradient", "modules"]
Axiom = Literal["complete", "linear", "dummy", "target_free"]


@dataclass(frozen=True)
class MethodCard:
    """Facts of one method. `axioms` are promises: tests/test_contract.py checks each of them."""

    family: Family
    needs: Needs
    cost: str  # in forward (F) and backward (B) passes
    axioms: tuple[Axiom, ...]
    paper: str


METHODS: Registry[MethodCard] = Registry("method", "attribute: no method of that name")


def method(
    *, family: Family, needs: Needs, cost: str, paper: str, axioms: tuple[Axiom, ...] = ()
) -> Callable[[Function], Function]:
    """Enter a function in `METHODS` under its own name; the function itself is returned untouched."""
    return METHODS.enter(MethodCard(family, needs, cost, axioms, paper))


def catalog() -> pd.DataFrame:
    """One row a method: method, family, needs, cost, axioms, paper."""
    return METHODS.table()
