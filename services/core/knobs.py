"""Knobs that a request may turn, and how far: no request can ask for an hour."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

from services.core.refusals import refuse, require
from xnb.methods import METHODS
from xnb.methods.lrp_rules import COMPOSITES

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Whole:
    """A whole number between two others."""

    least: int
    most: int

    def accepts(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number:
    """A number between two others."""

    least: float
    most: float

    def accepts(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.least <= value <= self.most

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Word:
    """One of some words."""

    words: tuple[str, ...]

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and value in self.words

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Layer:
    """The name of a module; whether the model has one of that name, the method says."""

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and 0 < len(value) <= 100

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": 100}


Bound = Whole | Number | Word | Flag | Layer

# Not offered: what runs until it is exact enough (`tolerance`, `standard_error`), what needs an array (`regions`),
# and what changes no result (`chunk`).
BOUNDS: dict[str, Bound] = {
    "steps": Whole(1, 256),
    "samples": Whole(2, 512),
    "window": Whole(1, 1024),
    "stride": Whole(1, 1024),
    "cells": Whole(2, 32),
    "sigma": Number(0.001, 1.0),
    "width": Number(0.01, 100.0),
    "ridge": Number(0.0, 1000.0),
    "block": Whole(-64, 63),
    "head": Whole(0, 63),
    "baseline": Word(("zero", "mean", "blur", "noise")),
    "quadrature": Word(("gauss_legendre", "midpoint")),
    "composite": Word(tuple(COMPOSITES)),
    "estimator": Word(("centred", "coverage", "raw")),
    "distance": Word(("cosine", "euclidean")),
    "sampling": Word(("paired", "leverage")),
    "layer": Layer(),
    "signed": Flag(),
    "resize": Flag(),
}
# So that an answer takes about a second on a processor; the methods' own defaults are for a notebook.
DEFAULTS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 16},
    "expected_gradients": {"samples": 16},
    "smoothgrad": {"samples": 16},
    "vargrad": {"samples": 16},
    "rise": {"samples": 64},
    "lime": {"samples": 128},
    "kernel_shap": {"samples": 128},
    "permutation_shapley": {"samples": 2},
}


def list_knobs(method: str) -> dict[str, Bound]:
    """The knobs of a method that a request may turn, and their bounds."""
    parameters = signature(METHODS[method]).parameters.values()
    return {p.name: BOUNDS[p.name] for p in parameters if p.kind is Parameter.KEYWORD_ONLY and p.name in BOUNDS}


def takes_seed(method: str) -> bool:
    """Whether a method draws random numbers."""
    return "seed" in signature(METHODS[method]).parameters


def check_method(method: object) -> str:
    """Return the name of a method, or refuse with 422 and the names most like it."""
    if isinstance(method, str) and method in METHODS:
        return method
    similar = get_close_matches(str(method), METHODS, n=3, cutoff=0.3) or ["integrated_gradients"]
    return refuse(422, "method: no method of that name", method, f"method={similar[0]}")


def check_knobs(method: str, knobs: Mapping[str, object]) -> dict[str, Any]:
    """Return the knobs that a method will run with, the service's defaults included.

    Raises:
        Refusal: 422, a knob that the method does not have or the service does not offer, or out of bounds.
    """
    offered = list_knobs(method)
    for name, value in knobs.items():
        require(name in offered, 422, f"{method}: no knob of that name is offered", name, _suggest_knobs(offered))
        bound = offered[name]
        require(bound.accepts(value), 422, f"{method}: {name} must be {_describe(bound)}", value, _suggest(name, bound))
    return {**DEFAULTS.get(method, {}), **knobs}


def _suggest_knobs(offered: Mapping[str, Bound]) -> str:
    return f"one of {', '.join(offered)}" if offered else "knobs={}"


def _describe(bound: Bound) -> str:
    match bound:
        case Whole(least, most):
            return f"a whole number from {least} to {most}"
        case Number(least, most):
            return f"a number from {least:g} to {most:g}"
        case Word(words):
            return f"one of {', '.join(words)}"
        case Flag():
            return "true or false"
    return "the name of a module"


def _suggest(name: str, bound: Bound) -> str:
    match bound:
        case Whole(_, most) | Number(_, most):
            return f'{{"{name}": {most:g}}}'
        case Word(words):
            return f'{{"{name}": "{words[0]}"}}'
        case Flag():
            return f'{{"{name}": true}}'
    return f'{{"{name}": "head"}}'
