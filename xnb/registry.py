"""What is known about each method, kept beside the method itself."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import pandas as pd

from xnb.check import entry, require

Family = Literal["control", "gradient", "rules", "cam", "attention", "perturbation"]
Needs = Literal["nothing", "forward", "gradient", "modules"]
Axiom = Literal["complete", "linear", "dummy", "target_free"]
Method = TypeVar("Method", bound=Callable)


@dataclass(frozen=True)
class Card:
    """Facts of one method. `axioms` are promises: tests/test_contract.py checks each of them."""

    family: Family
    needs: Needs
    cost: str  # in forward (F) and backward (B) passes
    axioms: tuple[Axiom, ...]
    paper: str


METHODS: dict[str, Callable] = {}
CARDS: dict[str, Card] = {}


def method(
    *, family: Family, needs: Needs, cost: str, paper: str, axioms: tuple[Axiom, ...] = ()
) -> Callable[[Method], Method]:
    """Enter a function in `METHODS` under its own name; the function itself is returned untouched."""

    def enter(function: Method) -> Method:
        require(function.__name__ not in METHODS, "method: names must be unique", function.__name__)
        METHODS[function.__name__] = function
        CARDS[function.__name__] = Card(family, needs, cost, axioms, paper)
        return function

    return enter


def find(name: str) -> Callable:
    """The method of that name, or an error with the nearest names."""
    return entry(METHODS, name, "attribute: no method of that name")


def catalog() -> pd.DataFrame:
    """One row a method: method, family, needs, cost, axioms, paper."""
    return pd.DataFrame([{"method": name, **asdict(card)} for name, card in CARDS.items()])
