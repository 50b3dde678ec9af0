"""Functions entered under their own names, each with a card of facts: what methods and metrics have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

import pandas as pd

from xnb.check import find_entry, require

Card = TypeVar("Card")
Function = TypeVar("Function", bound=Callable)


class Registry(Mapping[str, Callable], Generic[Card]):
    """Functions by name, in the order in which they were entered.

    Attributes:
        cards: the facts of each function, a dataclass, by the same names.
    """

    def __init__(self, kind: str, unknown: str) -> None:
        """Start empty.

        Args:
            kind: what the functions are, in one word; also the first column of `table`.
            unknown: first line of the error for an unknown name, as "metrics: no metric of that name".
        """
        self.kind = kind
        self.cards: dict[str, Card] = {}
        self._unknown = unknown
        self._functions: dict[str, Callable] = {}

    def __getitem__(self, name: str) -> Callable:
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def enter(self, card: Card) -> Callable[[Function], Function]:
        """Decorate a function: it is entered under its own name and comes back untouched."""

        def enter_function(function: Function) -> Function:
            name = function.__name__
            require(name not in self._functions, f"{self.kind}: names must be unique", name, "a name of its own")
            self._functions[name] = function
            self.cards[name] = card
            return function

        return enter_function

    def find(self, name: str) -> Callable:
        """Return the function of that name, or refuse with the nearest names."""
        require(
            isinstance(name, str),
            f"{self._unknown}: one name, a string",
            name,
            f'"{next(iter(self), "")}"',
        )
        return find_entry(self._functions, name, self._unknown)

    def table(self) -> pd.DataFrame:
        """Return one row a function: its name, then the fields of its card."""
        rows = []
        for name, card in self.cards.items():
            row: dict[str, Any] = {self.kind: name}
            rows.append(row | vars(card))
        return pd.DataFrame(rows)


def check_knobs(function: Callable, knobs: Mapping[str, object], who: str) -> None:
    """Refuse a knob that the function does not take, with the nearest of those that it takes.

    Args:
        who: what the function is called, the first word of the refusal.
    """
    if not knobs:
        return
    parameters = signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    unknown = [] if Parameter.VAR_KEYWORD in kinds else [knob for knob in knobs if knob not in parameters]
    if not unknown:
        return
    known = {name: parameter for name, parameter in parameters.items() if parameter.kind is Parameter.KEYWORD_ONLY}
    require(bool(known), f"{who}: has no knobs", unknown[0], f"leave out {unknown[0]}")
    find_entry(known, unknown[0], f"{who}: no knob of that name")  # refuses, with the names most like it


def import_files(package: str, folder: Iterable[str], first: tuple[str, ...]) -> None:
    """Import every file of a package, so that the decorators in it enter their functions.

    Args:
        folder: `__path__` of the package.
        first: files whose functions come first, in this order; the others follow by name.
    """
    files = tuple(module.name for module in iter_modules(folder))
    for name in dict.fromkeys(first + files):
        import_module(f"{package}.{name}")
