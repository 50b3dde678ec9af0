"""Methods that a widget offers for a model, and those that it refuses."""

from collections.abc import Sequence

import pandas as pd

from xnb.applicability import try_method
from xnb.methods import METHODS
from xnb.progress import hide_progress
from xnb.widgets.explained import Subject

_FAMILY_ORDER = ("gradient", "rules", "cam", "attention", "perturbation", "control")


def lint_methods(subject: Subject, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """Try methods, all if none are named, on the first input; columns `valid` and `reason`, see `xnb.lint`."""
    x = subject.input(0)
    target = subject.target_of(subject.predicted_class(0))
    names = list(methods or METHODS)
    with hide_progress():
        refusals = [try_method(subject.model, x, target, name) for name in names]
    valid = [refusal is None for refusal in refusals]
    return pd.DataFrame({"valid": valid, "reason": refusals}, index=names)


def method_options(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Labels and names of the methods that are valid in a table of `lint_methods`, family by family."""
    names = table.index[table["valid"]]
    ordered = sorted(names, key=_family_rank)
    return [(_method_label(name), name) for name in ordered]


def _family_rank(name: str) -> int:
    family = METHODS.cards[name].family
    return _FAMILY_ORDER.index(family)


def _method_label(name: str) -> str:
    """A method's name, with a warning behind those that never see the model."""
    is_control = METHODS.cards[name].family == "control"
    return f"{name} (control)" if is_control else name


def refusal_reasons(table: pd.DataFrame) -> dict[str, str]:
    """Reasons of the methods that are not valid in a table of `lint_methods`."""
    refused = table[~table["valid"]]
    return {str(name): reason for name, reason in refused["reason"].items()}
