"""A network, a method and a metric at a time, drawn by the date: what no two of them show.

The draw is another each day. Its seed stands in the name of each test: `XNB_ZOO_SEED=738000 pytest tests/zoo` draws
the same again.
"""

import os
import random
import warnings
from datetime import UTC, datetime
from functools import cache
from inspect import signature

import metric_references
import pytest
import torch
from metric_references import Game
from refused import check_refusal
from zoo import ZOO, build_model, choose_knobs
from zoo_scores import WANTS_UNITS, choose_arguments

import xnb
from xnb.metrics import METRICS

SEED = int(os.environ.get("XNB_ZOO_SEED", datetime.now(UTC).date().toordinal()))
COUNT = 50  # half a minute of one core


def draw_triples():
    rng = random.Random(SEED)
    metrics = sorted(metric_references.METRICS)
    return [(rng.choice(sorted(ZOO)), rng.choice(sorted(xnb.METHODS)), rng.choice(metrics)) for _ in range(COUNT)]


@pytest.mark.parametrize(("kind", "method", "metric"), draw_triples(), ids=lambda value: f"{SEED}-{value}")
def test_a_triple_has_the_score_of_the_reference_or_a_way_out(kind, method, metric):
    a = explain(kind, method)
    if a is None:
        return
    animal = ZOO[kind]
    a = tell_apart(share_along_units(a, animal))
    found = measure(kind, metric, a)
    assert found is not None, "of a map that is right, every one of these metrics has a score"
    x = animal.inputs()
    games = [Game(build_model(kind), x, animal.target(), i) for i in range(len(x))]
    reference = metric_references.METRICS[metric]
    expected = [reference(game, z, values, animal) for game, z, values in zip(games, x, a, strict=True)]
    torch.testing.assert_close(found, x.new_tensor(expected), rtol=1e-6, atol=1e-9, equal_nan=True)
    check_table(kind, method, metric)


@cache
def explain(kind, method):
    """The map in the places of the input, None where it is refused; the line to try of a refusal must work."""
    animal = ZOO[kind]
    knobs = choose_method_knobs(kind, method)
    try:
        return run_quietly(xnb.attribute, build_model(kind), animal.inputs(), animal.target(), method, **knobs)
    except ValueError as refusal:
        if WANTS_UNITS in str(refusal):
            return explain_units(kind, method)
        call = f"xnb.attribute(model, x, target, {method!r}{write_knobs(knobs)})"
        run_quietly(check_refusal, str(refusal), animal, call, regions=animal.regions())
        return None


def explain_units(kind, method):
    """The map where the units are named."""
    animal = ZOO[kind]
    knobs = {**choose_method_knobs(kind, method), "units": animal.units}
    return run_quietly(xnb.attribute, build_model(kind), animal.inputs(), animal.target(), method, **knobs)


def choose_method_knobs(kind, method):
    """As for all tests, but for the size of class activation maps: metrics take maps of the input."""
    return {name: value for name, value in choose_knobs(kind, method).items() if name != "resize"}


def tell_apart(a):
    """The map with a hair on each value, so that no two are equal: among equals every order is right."""
    size = a.abs().max().clamp(min=1)
    return a + 1e-4 * size * torch.randn(a.shape, generator=torch.Generator().manual_seed(2), dtype=a.dtype)


def share_along_units(a, animal):
    """A map with all its units: an axis of length 1 is shared by those that lie along it."""
    sizes = [-1, *(size if axis in animal.units else -1 for axis, size in enumerate(animal.shape, 1))]
    return a.expand(sizes)


def measure(kind, metric, a):
    """The scores of a map, None where they are refused."""
    animal = ZOO[kind]
    knobs = choose_arguments(kind, metric)
    try:
        return run_quietly(METRICS[metric], build_model(kind), animal.inputs(), animal.target(), a, **knobs)
    except ValueError as refusal:
        names = {"a": a, "attribution": a, "masks": animal.masks()}
        call = f"xnb.metrics.{metric}(model, x, target, a{write_knobs(knobs)})"
        run_quietly(check_refusal, str(refusal), animal, call, **names)
        if WANTS_UNITS not in str(refusal):
            return None
    knobs["units"] = animal.units
    return run_quietly(METRICS[metric], build_model(kind), animal.inputs(), animal.target(), a, **knobs)


def check_table(kind, method, metric):
    """`xnb.compare` has the same scores as the metric called by itself on the method's own map, or says why not."""
    animal = ZOO[kind]
    knobs = choose_arguments(kind, metric)
    masks = knobs.pop("masks", None)
    part = xnb.data.Part(animal.inputs(), animal.target(), masks)
    # A table gives all one baseline; by themselves methods and metrics have their own.
    settings = {
        metric: write_fillings_out(METRICS[metric]) | knobs,
        method: write_fillings_out(xnb.METHODS[method]) | choose_method_knobs(kind, method),
    }
    table = run_quietly(
        xnb.compare, build_model(kind), part, [method], [metric], target=animal.target(), knobs=settings
    )
    rows = table[table["method"] == method].sort_values("image")
    for error in rows["error"].dropna():
        assert error.startswith("ValueError: "), error
        assert "\n  got: " in error, error
    if rows["error"].isna().all():
        alone = measure(kind, metric, explain(kind, method))
        found = alone.new_tensor(rows["value"].tolist())
        torch.testing.assert_close(found, alone, rtol=1e-6, atol=1e-9, equal_nan=True)


def write_fillings_out(function):
    """What stands where something is absent, by default."""
    parameters = signature(function).parameters
    return {name: parameters[name].default for name in ("baseline", "impute") if name in parameters}


def run_quietly(run, *args, **knobs):
    """What is said about broken promises is tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(*args, **knobs)


def write_knobs(knobs):
    """Knobs as they stand in a call; a tensor stands under its own name."""
    return "".join(f", {name}={name if hasattr(value, 'shape') else repr(value)}" for name, value in knobs.items())
