"""A case of the fuzz: a network of the grammar, inputs, a call with knobs of its signature, and what is wrong with it.

A case is made of words and of code, so that it can be copied out of a report into a test.
"""

from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Literal, Union, get_args, get_origin

import torch
from fuzz_networks import HEADS, JOINS, LAYERS, build, list_layers
from fuzz_spoils import CONTEXTS, INPUTS, MAPS, MODELS, TARGETS, VALUES
from hypothesis import strategies as st
from torch import nn

import xnb
from xnb import METHODS
from xnb.access.copies import copy_module
from xnb.metrics import METRICS

SHAPES = {
    "picture": [
        *((1, 5, 5), (2, 4, 6), (3, 7, 5), (1, 1, 1), (2, 1, 7)),
        *((3, 6, 1), (1, 2, 2), (2, 3, 3), (5, 3, 2), (1, 11, 3)),
    ],
    "signal": [(1, 8), (2, 7), (3, 5), (1, 1), (2, 1), (4, 11), (1, 2)],
    "volume": [(1, 3, 4, 2), (2, 2, 3, 3), (1, 1, 1, 1), (2, 1, 4, 3)],
    "table": [(5,), (1,), (2,), (7,), (12,)],
    "tokens": [(4, 4), (3, 6), (5, 2), (1, 4), (2, 1), (7, 3)],
}
PLACES = {"picture": (2, 3), "signal": (2,), "volume": (2, 3, 4), "table": (), "tokens": (1,)}
# What is drawn for a knob, by its name; words of its own kind are read from its signature. A number of passes is
# always said, as by default there are hundreds.
KNOBS = {
    "chunk": ["None", "1", "2", "3", "100"],
    "seed": ["0", "1", "12345", "-1"],
    "samples": ["2", "3", "4", "8"],
    "steps": ["1", "2", "3", "8"],
    "baseline": [
        *("0.0", "0.5", "'zero'", "'mean'", "'blur'", "'noise'", "torch.zeros_like(x)", "torch.full_like(x[:1], 0.3)"),
        *("x.mean(0, keepdim=True)", "lambda x: x * 0.5", "0.3 * x.flip(0)"),
    ],
    "regions": ["None", "regions", "regions_of_rows", "regions.numpy()"],
    "window": ["None", "1", "2", "3"],
    "stride": ["None", "1", "2"],
    "units": ["None", "units", "units", "units[-1]"],
    "layer": ["None", "layers[0]", "layers[-1]", "layers[len(layers) // 2]", "model.get_submodule(layers[0])"],
    "signed": ["False", "True"],
    "resize": ["True", "False"],
    "sigma": ["0.0", "0.1", "1.0"],
    "standard_error": ["None", "0.5"],
    "tolerance": ["None", "0.1", "0.5"],
    "cells": ["1", "2", "3", "7"],
    "width": ["0.5", "1.0"],
    "ridge": ["0.1", "1.0"],
    "composite": ["'epsilon'", "'gamma'", "'z_plus'", "'alpha_beta'", "'epsilon_plus'", "'attn_lrp'", "'flat'"],
    "block": ["-1", "0"],
    "head": ["None", "0"],
    "side": ["None", "1", "2", "3"],
    "size": ["None", "1", "2"],
    "sizes": ["None", "(1,)", "(1, 2)"],
    "impute": ["'zero'", "'mean'", "'blur'", "'noisy_linear'", "0.3", "torch.zeros_like(x)"],
    "share": ["0.1", "0.5"],
    "normalise": ["True", "False"],
    "absolute": ["False", "True"],
    "radius": ["0.02", "0.5"],
    "same_prediction": ["True", "False"],
    "bins": ["2", "10"],
    "groups": ["2", "3", "10"],
}
COSTLY = {"samples", "steps"}
PLAYED = {"exact_shapley"}  # by default with a pass for every set of values
# Values that a knob of that name should not have; one that is right after all is answered.
ODD = ["-1", "0", "1.5", "float('nan')", "float('inf')", "'word'", "None", "[]", "torch.zeros(3)", "True", "{}", "2.0"]
DOORS = {
    "attribute_all": (
        "xnb.attribute_all(model, x, {method!r})",
        "torch.stack([xnb.attribute(model, x, k, {method!r}) for k in range(max(2, classes))], 1)",
    ),
    "explain": (
        "xnb.explain(model, x, target, [{method!r}, {other!r}])",
        "{{name: xnb.attribute(model, x, target, name) for name in ({method!r}, {other!r})}}",
    ),
    "prepare": ("xnb.prepare(model, x)(x)", "model(x)"),
    "lint": ("xnb.lint(model, x, [{method!r}])", "None"),
    "logits": ("xnb.access.score.logits(model, x)", "model(x)"),
}
# Methods whose default knobs are no thousand passes.
QUICK = (
    "gradient gradient_times_input guided_backprop deconvnet lrp deep_lift grad_cam hires_cam layer_cam ablation_cam "
    "score_cam feature_ablation occlusion integrated_gradients"
).split()
SUBJECTS = (*sorted(METHODS), *sorted(METRICS), *DOORS)


@dataclass(frozen=True)
class Case:
    """What is called, and of what.

    Attributes:
        subject: a method, a metric, or another public function.
        kind: of the inputs, a key of `SHAPES`.
        words: of the network.
        knobs: of the call, each with its value as code.
        spoils: what is done to the model, the inputs, the target, or around the call.
        values: of the inputs.
        map: which one a metric measures.
    """

    subject: str
    kind: str = "picture"
    shape: tuple = (1, 5, 5)
    words: tuple = ("conv", "relu")
    head: str = "flat"
    classes: int = 3
    rows: int = 2
    dtype: str = "float64"
    knobs: tuple = ()
    spoils: tuple = ()
    values: str = "normal"
    map: str = "random"
    method: str = "gradient"
    other: str = "grad_cam"

    def write_call(self):
        """The call as code."""
        if self.subject in DOORS:
            return DOORS[self.subject][0].format(method=self.method, other=self.other)
        knobs = "".join(f", {name}={value}" for name, value in self.knobs)
        if self.subject in METHODS:
            return f"xnb.attribute(model, x, target, {self.subject!r}{knobs})"
        asked = "".join(f", {name}={name}" for name in METRICS.cards[self.subject].asks)
        return f"xnb.metrics.{self.subject}(model, x, target, a{asked}{knobs})"


def draw_words(depth=2, start=()):
    """A row of words, some of them with a branch."""
    word = st.sampled_from(sorted(LAYERS))
    if depth:
        branch = st.tuples(st.sampled_from([*JOINS, "twice"]), draw_words(depth - 1))
        word = st.one_of(word, word, word, branch)
    return st.lists(word, min_size=0, max_size=5 if depth == 2 else 2).map(lambda row: (*start, *row))


@st.composite
def draw_case(draw, subject):
    """Any case of a subject; half of them have nothing wrong."""
    kind, words = draw(_draw_network(subject))
    knobs = draw(_draw_knobs(subject))
    return Case(
        subject=subject,
        kind=kind,
        shape=draw(st.sampled_from(SHAPES[kind])),
        words=words,
        head=draw(st.sampled_from(sorted(HEADS))),
        classes=draw(st.sampled_from([3, 2, 1, 5])),
        rows=draw(st.sampled_from([2, 3, 1, 5])),
        dtype=draw(st.sampled_from(["float64", "float64", "float64", "float32", "float32", "bfloat16", "float16"])),
        knobs=knobs,
        spoils=draw(_draw_spoils(subject)),
        values=draw(st.sampled_from(["normal", "normal", "normal", *VALUES])),
        map=draw(st.sampled_from(["random", "gradient", *MAPS])),
        method=draw(st.sampled_from(QUICK)),
        other=draw(st.sampled_from(QUICK)),
    )


def _draw_network(subject):
    """A kind of inputs and a row of words; methods that ask for something get it more often."""
    family = METHODS.cards[subject].family if subject in METHODS else ""
    if family == "attention":
        starts = [("attention",), ("encoder layer",), ("class token", "attention"), ("written attention",)]
        first = st.sampled_from(starts)
        of_tokens = st.tuples(st.just("tokens"), first.flatmap(lambda start: draw_words(1, start)))
        starts = st.sampled_from([("conv 2", "tokens"), ("strided conv", "tokens"), ("tokens", "positions")])
        of_pictures = st.tuples(
            st.just("picture"), starts.flatmap(lambda start: draw_words(1, (*start, "encoder layer")))
        )
        return st.one_of(of_tokens, of_tokens, of_pictures)
    kinds = ["picture", "picture", "picture", "signal", "volume", "table", "tokens"]
    if family == "cam":
        kinds = ["picture", "picture", "picture", "signal", "volume"]
        row = st.one_of(draw_words(2, ("conv",)), draw_words(2, ("conv", "relu")), draw_words())
        return st.tuples(st.sampled_from(kinds), row)
    return st.tuples(st.sampled_from(kinds), draw_words())


@st.composite
def _draw_knobs(draw, subject):
    """Some of the knobs of the signature, each with a value that its name stands for; at times an odd one."""
    if subject in DOORS:
        return ()
    parameters = signature({**METHODS, **METRICS}[subject]).parameters
    knobs = {}
    for name, parameter in parameters.items():
        if parameter.kind is Parameter.KEYWORD_ONLY and (name in COSTLY or subject in PLAYED or draw(st.booleans())):
            values = [value for value in _list_values(name, parameter) if value != "None" or subject not in PLAYED]
            if values:
                knobs[name] = draw(st.sampled_from(values))
    named = [name for name in knobs if name not in COSTLY]
    if named and draw(st.integers(0, 7)) == 7:
        knobs[draw(st.sampled_from(sorted(knobs)))] = draw(st.sampled_from(ODD))
    return tuple(knobs.items())


def _list_values(name, parameter):
    kinds = get_args(parameter.annotation) if get_origin(parameter.annotation) is Union else (parameter.annotation,)
    words = [repr(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    return words or KNOBS.get(name, [])


@st.composite
def _draw_spoils(draw, subject):
    """Nothing, or one thing, or two; what is a matter of taste, as the layout of memory, comes more often."""
    tables = [CONTEXTS, INPUTS, MODELS, TARGETS]
    count = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    spoils = []
    for _ in range(count):
        table = draw(st.sampled_from(tables))
        harmless = draw(st.integers(0, 2)) > 0
        names = [name for name, spoil in table.items() if spoil.harmless == harmless]
        spoils.append(draw(st.sampled_from(names or sorted(table))))
    return tuple(dict.fromkeys(spoils))


def make_scope(case, dtype=None):
    """The names of the call, nothing spoilt: in the dtype of the case, or another."""
    dtype = getattr(torch, dtype or case.dtype)
    model = build(case.words, case.shape, head=case.head, classes=case.classes, tokens=case.kind == "tokens").to(dtype)
    rng = torch.Generator().manual_seed(3)
    # Rounded first: every dtype has the same inputs.
    x = torch.randn(case.rows, *case.shape, generator=rng, dtype=torch.double).bfloat16().double()
    x = VALUES.get(case.values, lambda x: x)(x).to(dtype)
    scope = {"xnb": xnb, "torch": torch, "nn": nn, "model": model, "x": x, "classes": case.classes}
    scope["target"] = torch.arange(case.rows) % max(2, case.classes)
    numbers = torch.arange(x[0].numel()).view(case.shape) % 4
    scope["regions"] = numbers
    scope["regions_of_rows"] = torch.stack([(numbers + i) // (1 + i % 2) for i in range(case.rows)])
    scope["units"] = PLACES[case.kind] or (1,)
    scope["masks"] = _make_masks(x, scope["units"])
    scope["layers"] = list_layers(model, x) or ["0"]
    scope["method"] = METHODS["gradient_times_input"]
    a = make_map(case, model, x, scope["target"])
    scope["a"] = MAPS.get(case.map, lambda a: a)(a)
    other = copy_module(model)
    with torch.no_grad():
        for weights in other.parameters():
            weights.copy_(weights.flip(0) * 0.7)
    scope["other"] = other
    return scope


def _make_masks(x, units):
    """The first half of the places, along their first axis, one at least."""
    sizes = [len(x), *(x.shape[axis] if axis in units else 1 for axis in range(1, x.ndim))]
    masks = torch.zeros(sizes, dtype=torch.bool)
    masks.narrow(units[0], 0, max(1, sizes[units[0]] // 2)).fill_(True)
    return masks


def multiply_gradient(model, x, target):
    """Input times gradient, with torch alone."""
    leaf = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        out = model(leaf.clone())
        signed = torch.cat([-out, out], 1) if out.shape[1] == 1 else out
        (slope,) = torch.autograd.grad(signed.gather(1, target[:, None]).sum(), leaf)
    return x.detach() * slope


def make_map(case, model, x, target):
    """The map that a metric measures: random, or exact to first order."""
    if case.subject not in METRICS or case.map != "gradient":
        return torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=torch.double).to(x)
    exact = build(case.words, case.shape, head=case.head, classes=case.classes, tokens=case.kind == "tokens")
    try:
        return multiply_gradient(exact, x.double(), target).to(x)
    except RuntimeError:
        return torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=torch.double).to(x)
