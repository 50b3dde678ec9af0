"""Methods that a widget offers for a model, and those that it refuses."""

from collections.abc import Iterable, Sequence

import pandas as pd
import torch
from torch import nn

from xnb.access.model_call import chunk_logits
from xnb.access.units import INSTANCES, see_axes
from xnb.check import require
from xnb.explanation.applicability import try_method
from xnb.methods import METHODS
from xnb.progress import show_progress
from xnb.widgets.explained import Subject

_FAMILY_ORDER = ("gradient", "rules", "cam", "attention", "perturbation", "control")
_PREFERRED = "gradient_times_input"
_LARGE_INPUT = 3 * 64 * 64  # numbers of an input, and
_LARGE_MODEL = 5_000_000  # parameters, above which methods are not tried before they are chosen
_OF_PLACES = {"occlusion", "edges", "centre"}  # beside class activation maps
_ATTENTION_PROBE = "raw_attention"  # one pass; where it sees no attention, no other method does


def read_methods(methods: str | Sequence[str] | None, method: str | None = None) -> list[str]:
    """Names of the methods that are offered, all if none is named; the one that is shown first is among them.

    Raises:
        ValueError: no method has such a name.
    """
    first = [] if method is None else [method]
    asked = [methods] if isinstance(methods, str) else methods or METHODS
    names = list(dict.fromkeys([*first, *asked]))
    for name in names:
        METHODS.find(name)
    return names


def choose_first(table: pd.DataFrame, method: str | None = None, *, in_order: bool = False) -> str:
    """The method that is shown first: the one that was asked for, or the first that is right for the model.

    Args:
        table: of the methods that are offered, in their order.
        method: the one that was asked for, if one was.
        in_order: take the methods in the order of the table, which somebody gave; else a quick one comes first.

    Raises:
        ValueError: the one that was asked for, or every one, is refused; the reason is that of the method.
    """
    valid = list(table.index[table["valid"]])
    wanted = valid if in_order else [_PREFERRED, *(name for _, name in method_options(table))]
    if method is not None:
        wanted = [method]
    usable = [name for name in wanted if name in valid]
    reasons = "; ".join(refusal_reasons(table).values())
    require(bool(usable), "widgets: no method is right for this model", reasons, "xnb.lint(model, x)")
    return usable[0]


def is_large(subject: Subject) -> bool:
    """Whether to try all methods would take longer than somebody waits for a first picture."""
    parameters = 0
    if isinstance(subject.model, nn.Module):
        parameters = sum(tensor.numel() for tensor in subject.model.parameters())
    return subject.x[0].numel() > _LARGE_INPUT or parameters > _LARGE_MODEL


def survey_methods(subject: Subject, names: Sequence[str], shown: Iterable[str] = ()) -> pd.DataFrame:
    """Columns `valid` and `reason` of methods: each is tried, or with a large model those that are `shown` only."""
    if not is_large(subject):
        return lint_methods(subject, names)
    table = judge_methods(subject, names)
    tried = lint_methods(subject, [name for name in shown if table.loc[name, "valid"]])
    table.update(tried)
    return table


def judge_methods(subject: Subject, names: Iterable[str]) -> pd.DataFrame:
    """Say in two passes what can be said of methods; those of which it takes more are taken to be valid.

    Columns are those of `lint_methods`.
    """
    has_gradient = _has_gradient(subject)
    attention = _try_on_first(subject, _ATTENTION_PROBE) if has_gradient else None
    refusals: dict[str, str | None] = {}
    for name in names:
        card = METHODS.cards[name]
        refusals[name] = attention if card.family == "attention" else None
        if card.needs in ("gradient", "modules") and not has_gradient:
            refusals[name] = "the model has no gradient: what it returns does not follow from x by functions of torch"
    return _make_table(refusals)


def _has_gradient(subject: Subject) -> bool:
    """Whether the outputs follow from the input by functions that torch can differentiate."""
    with torch.enable_grad(), subject.run_input(0) as x:
        return chunk_logits(subject.model, x.detach().clone().requires_grad_()).requires_grad


def lint_methods(subject: Subject, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """Try methods, all if none are named, on the first input; columns `valid` and `reason`, see `xnb.lint`."""
    names = list(METHODS if methods is None else methods)
    return _make_table({name: _try_on_first(subject, name) for name in show_progress(names, len(names), "method")})


def _try_on_first(subject: Subject, name: str) -> str | None:
    """Why a method refuses the first input, or does not fit its kind; None if it is right."""
    places = METHODS.cards[name].family == "cam" or name in _OF_PLACES
    if subject.kind == "text" and places and see_axes(subject.x, subject.model) != INSTANCES:
        return "it takes the numbers of an embedding for places, and says nothing of words"
    target = subject.target_of(subject.predicted_class(0))
    with subject.run_input(0) as x:
        return try_method(subject.model, x, target, name)


def _make_table(refusals: dict[str, str | None]) -> pd.DataFrame:
    valid = [refusal is None for refusal in refusals.values()]
    return pd.DataFrame({"valid": valid, "reason": list(refusals.values())}, index=list(refusals))


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
