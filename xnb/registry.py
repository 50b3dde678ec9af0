"""Functions entered under their own names, each with a card of facts: what methods and metrics have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from importlib import import_module
from inspect import Parameter, signature
from math import isnan
from operator import index
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Any, Generic, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import pandas as pd

from xnb.check import find_entry, refuse, require

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
    """Refuse a knob that the function does not take, with the nearest of those that it takes, or of another kind.

    Args:
        who: what the function is called, the first word of the refusal.
    """
    if not knobs:
        return
    parameters = signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    unknown = [] if Parameter.VAR_KEYWORD in kinds else [knob for knob in knobs if knob not in parameters]
    if unknown:
        known = {name: one for name, one in parameters.items() if one.kind is Parameter.KEYWORD_ONLY}
        require(bool(known), f"{who}: has no knobs", unknown[0], f"leave out {unknown[0]}")
        find_entry(known, unknown[0], f"{who}: no knob of that name")  # refuses, with the names most like it
    for knob, value in knobs.items():
        if knob in parameters:
            _check_value(parameters[knob], value, who)


def _check_value(parameter: Parameter, value: object, who: str) -> None:
    """Refuse a value of another kind than the signature names, such as half a step."""
    kinds = _list_kinds(parameter.annotation)
    if value is parameter.default or not set(kinds) <= _KINDS.keys():
        return
    if any(_KINDS[kind].takes(value) for kind in kinds):
        return
    words = " or ".join(_KINDS[kind].words for kind in kinds)
    hint = f"{parameter.name}={parameter.default!r}"
    refuse(f"{who}: {parameter.name} must be {words}", value, hint)


def _list_kinds(annotation: object) -> list[object]:
    """What may be handed over, one kind by one; every choice of words counts as a word."""
    several = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if several else (annotation,)
    return [str if get_origin(kind) is Literal else kind for kind in kinds]


def _is_whole(value: object) -> bool:
    """Whether a value counts something: whatever Python takes as an index, of numpy and torch too."""
    try:
        index(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, RuntimeError):
        return False
    return True


def _is_number(value: object) -> bool:
    """Whether a value is a real number, an array or tensor of one included, and not NaN."""
    if isinstance(value, str | bytes):
        return False
    try:
        return not isnan(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError, RuntimeError):
        return False


def _are_whole(value: object) -> bool:
    """Whether a value is a row of whole numbers."""
    return isinstance(value, Iterable) and not isinstance(value, str) and all(map(_is_whole, value))


def _are_two_whole(value: object) -> bool:
    """Whether a value is a pair of whole numbers."""
    return _are_whole(value) and isinstance(value, Sized) and len(value) == 2


class _Kind(NamedTuple):
    """Values that a knob takes: a test, and what they are called in a refusal."""

    takes: Callable[[object], bool]
    words: str


# By the annotation of the knob; of what stands for more, as a baseline or regions, its own reader says what fits.
_KINDS: dict[object, _Kind] = {
    int: _Kind(_is_whole, "a whole number"),
    float: _Kind(_is_number, "a number"),
    bool: _Kind(lambda value: _is_number(value) and value in (0, 1), "True or False"),
    str: _Kind(lambda value: isinstance(value, str), "a word"),
    NoneType: _Kind(lambda value: value is None, "None"),
    tuple[int, ...]: _Kind(_are_whole, "whole numbers"),
    tuple[int, int]: _Kind(_are_two_whole, "two whole numbers"),
    Sequence[int]: _Kind(_are_whole, "whole numbers"),
}


def import_files(package: str, folder: Iterable[str], first: tuple[str, ...]) -> None:
    """Import every file of a package, so that the decorators in it enter their functions.

    Args:
        folder: `__path__` of the package.
        first: files whose functions come first, in this order; the others follow by name.
    """
    files = tuple(module.name for module in iter_modules(folder))
    for name in dict.fromkeys(first + files):
        import_module(f"{package}.{name}")
