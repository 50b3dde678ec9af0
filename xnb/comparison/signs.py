"""The sign of maps: those whose sign is no evidence are measured twice, as they are and by their size."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, TypeAlias

from xnb.access.descriptions import unwrap_partial
from xnb.check import require
from xnb.methods import METHODS
from xnb.methods.registry import MethodCard, Sign
from xnb.types import Attribution, Batch, Model, Target

Signs: TypeAlias = Literal["both", "signed", "magnitude"]
# By what is wanted: maps of which sign are measured by their size.
_BY_SIZE: dict[str, set[Sign]] = {
    "both": {"direction"},
    "signed": set(),
    "magnitude": {"direction", "evidence"},
}


def look_up_sign(method: Callable) -> Sign:
    """Return what the sign of its maps means; that of a function of one's own counts as evidence."""
    if find_signed(method) is not None:
        return "none"
    card = _find_card(method)
    keeps_negative = getattr(method, "keywords", {}).get("signed", False)  # of class activation maps
    if card is None or keeps_negative:
        return "evidence"
    return card.sign


def is_control(method: Callable) -> bool:
    """Return whether it is a control of the catalog."""
    card = _find_card(method)
    return card is not None and card.family == "control"


def _find_card(method: Callable) -> MethodCard | None:
    """Return the facts of a method of the catalog, whatever knobs are set; None of a function of one's own."""
    inner = unwrap_partial(method)
    for name, card in METHODS.cards.items():
        if METHODS[name] is inner:
            return card
    return None


def add_magnitudes(methods: Mapping[str, Callable], signs: Signs) -> dict[str, Callable]:
    """Return the methods by label, those that are wanted by their size under `label, magnitude`; controls stay."""
    known = list(_BY_SIZE)
    require(signs in known, f"compare: signs must be one of {known}", signs, 'signs="both"')
    listed: dict[str, Callable] = {}
    for label, method in methods.items():
        sign = "none" if is_control(method) else look_up_sign(method)
        if signs != "magnitude" or sign == "none":
            listed[label] = method
        name = f"{label}, magnitude"
        # What the user calls so goes first.
        if sign in _BY_SIZE[signs] and name not in methods:
            listed[name] = partial(take_magnitude, method=method)
    return listed


def take_magnitude(model: Model | None, x: Batch, target: Target, *, method: Callable) -> Attribution:
    """Return the size of each value of a method's map, whichever its sign."""
    return method(model, x, target).abs()


def find_signed(method: Callable) -> Callable | None:
    """Return the method whose maps this one takes the size of; None where it makes maps of its own."""
    if isinstance(method, partial) and method.func is take_magnitude:
        return method.keywords["method"]
    return None


def name_sign(method: Callable) -> str:
    """Return the entry of the column `sign`: `magnitude` where no value is ever negative."""
    if look_up_sign(method) == "none":
        return "magnitude"
    return "signed"
