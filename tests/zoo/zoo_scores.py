"""The networks of the zoo under all metrics: each score made once, for all tests."""

import inspect
import warnings
from functools import cache

import torch
from refused import check_refusal
from zoo import ALL, ZOO, build_model

from xnb.access.rows import select_rows
from xnb.metrics import METRICS

# what keeps a test short; the references do the same
KNOBS = {
    "deletion": {"steps": 6},
    "insertion": {"steps": 6},
    "morf": {"steps": 6},
    "lerf": {"steps": 6},
    "srg": {"steps": 6},
    "road": {"steps": 6},
    "single_deletion": {"side": 2},
    "faithfulness_correlation": {"samples": 16},
    "sensitivity_n": {"samples": 4},
    "infidelity": {"samples": 16},
    "symmetry": {"samples": 4},
    "smooth_mprt": {"samples": 4},
    "max_sensitivity": {"samples": 4},
    "average_sensitivity": {"samples": 4},
    "local_lipschitz": {"samples": 4},
}
WANTS_UNITS = "units must be named"


def takes_units(name):
    return "units" in inspect.signature(METRICS[name]).parameters


def multiply_gradient(model, x, target):
    """Input times gradient, with torch alone."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        out = model(leaf)
        signed = torch.cat([-out, out], 1) if out.shape[1] == 1 else out
        (slope,) = torch.autograd.grad(signed.gather(1, target[:, None]).sum(), leaf)
    return x.detach() * slope


@torch.no_grad()
def ablate_features(model, x, target):
    """The drop in score when each feature of a table is set to zero."""
    rows = torch.arange(len(x))
    whole = model(x)[rows, target]
    kept = 1 - torch.eye(x.shape[1], dtype=x.dtype)
    return torch.stack([whole - model(x * others)[rows, target] for others in kept], 1)


def choose_method(kind):
    return multiply_gradient if ZOO[kind].differentiable else ablate_features


@cache
def draw_map(kind, which):
    """A map of the inputs: "exact" by the method, "random", or "constant"."""
    x = ZOO[kind].inputs()
    if which == "exact":
        return choose_method(kind)(build_model(kind), x, ZOO[kind].target())
    if which == "constant":
        return torch.full_like(x, 0.3)
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=x.dtype)


def choose_arguments(kind, name, rows=ALL):
    """The knobs of a metric, and what it asks for beside the map."""
    knobs = dict(KNOBS.get(name, {}))
    asks = METRICS.cards[name].asks
    if "masks" in asks:
        knobs["masks"] = ZOO[kind].masks()[slice(*rows)]
    if "method" in asks:
        knobs["method"] = choose_method(kind)
    if "other" in asks:
        knobs["other"] = ZOO[kind].build(seed=8)
    if name == "insertion" and ZOO[kind].units == (1,):
        knobs["impute"] = "zero"  # a blur goes along places
    if name == "road" and ZOO[kind].units == (1,):
        knobs["impute"] = "mean"
    return knobs


@cache
def measure_or_refuse(kind, name, which="exact", rows=ALL):
    """The scores of these rows, None where they are refused; the line to try of a refusal must work.

    Where the units are asked for, they are named then.
    """
    knobs = choose_arguments(kind, name, rows)
    try:
        return _measure(kind, name, which, rows, knobs)
    except ValueError as refusal:
        _check(str(refusal), kind, name, which, knobs)
        if WANTS_UNITS not in str(refusal):
            return None
    return measure_named_units(kind, name, which, rows)


@cache
def measure_named_units(kind, name, which="exact", rows=ALL):
    """The scores with the units named."""
    knobs = {**choose_arguments(kind, name, rows), "units": ZOO[kind].units}
    try:
        return _measure(kind, name, which, rows, knobs)
    except ValueError as refusal:
        _check(str(refusal), kind, name, which, knobs)
        return None


def _measure(kind, name, which, rows, knobs):
    animal = ZOO[kind]
    x = animal.inputs()
    with warnings.catch_warnings(), select_rows(slice(*rows), len(x)):
        warnings.simplefilter("ignore")
        a = draw_map(kind, which)[slice(*rows)]
        return METRICS[name](build_model(kind), x[slice(*rows)], animal.target()[slice(*rows)], a, **knobs)


def _check(message, kind, name, which, knobs):
    settings = "".join(
        f", {knob}={knob if callable(v) or hasattr(v, 'shape') else repr(v)}" for knob, v in knobs.items()
    )
    a = draw_map(kind, which)
    names = {**knobs, "a": a, "attribution": a, "method": choose_method(kind), "masks": ZOO[kind].masks()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_refusal(message, ZOO[kind], f"xnb.metrics.{name}(model, x, target, attribution{settings})", **names)
