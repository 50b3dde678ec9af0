"""All networks of the zoo, and their maps: each made once, for all tests."""

import warnings
from functools import cache

import references
import torch
from head_networks import HEADS
from picture_networks import PICTURES
from refused import check_refusal
from sequence_networks import SEQUENCES

import xnb
from xnb.access.rows import select_rows

ZOO = PICTURES | SEQUENCES | HEADS
# what keeps a test short; the references do the same
KNOBS = {
    "integrated_gradients": {"steps": 32},
    "occlusion": {"window": 2, "stride": 1},
    "expected_gradients": {"samples": 8},
    "smoothgrad": {"samples": 8},
    "vargrad": {"samples": 8},
    "rise": {"samples": 32},
    "lime": {"samples": 32},
    "kernel_shap": {"samples": 64},
    "permutation_shapley": {"samples": 4},
}
PLAYERS = {"feature_ablation", "lime", "kernel_shap", "permutation_shapley", "exact_shapley"}
ALL = 0, 3
LAST = 2, 3
WANTS_UNITS = "units must be named"


def choose_knobs(kind, name):
    knobs = dict(KNOBS.get(name, {}))
    if name in PLAYERS:
        knobs["regions"] = ZOO[kind].regions()
    if name in references.CAMS:  # at the resolution of their layer
        knobs["resize"] = False
    return knobs


@cache
def build_model(kind):
    return ZOO[kind].build()


@cache
def explain_or_refuse(kind, name, rows=ALL):
    """The map of these rows, None where it is refused; the line to try of a refusal must work.

    Where the units are asked for, they are named then.
    """
    animal = ZOO[kind]
    knobs = choose_knobs(kind, name)
    found = _explain_or_name(kind, name, rows, knobs)
    if found is WANTS_UNITS:
        found = _explain_or_name(kind, name, rows, {**knobs, "units": animal.units})
    return found


def _explain_or_name(kind, name, rows, knobs):
    """The map; None where it is refused, or the wish for units to be named."""
    animal = ZOO[kind]
    x = animal.inputs()
    try:
        # what is said about broken promises is tested elsewhere
        with warnings.catch_warnings(), select_rows(slice(*rows), len(x)):
            warnings.simplefilter("ignore")
            run = xnb.METHODS[name] if name in references.CAMS else _attribute_by_name(name)
            return run(build_model(kind), x[slice(*rows)], animal.target()[slice(*rows)], **knobs)
    except ValueError as refusal:
        settings = "".join(f", {knob}={'regions' if knob == 'regions' else value}" for knob, value in knobs.items())
        call = f"xnb.attribute(model, x, target, {name!r}{settings})"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_refusal(str(refusal), animal, call, regions=animal.regions())
        return WANTS_UNITS if WANTS_UNITS in str(refusal) else None


def _attribute_by_name(name):
    return lambda model, x, target, **knobs: xnb.attribute(model, x, target, name, **knobs)


@cache
def list_scorers(kind):
    """For each input the score as a function of that input alone."""
    animal = ZOO[kind]
    x = animal.inputs()
    return [references.make_scorer(build_model(kind), x, animal.target(), i) for i in range(len(x))]


@cache
def explain_slowly(kind, name):
    """The map by the reference, in the shape of the inputs."""
    animal = ZOO[kind]
    x = animal.inputs()
    pairs = zip(list_scorers(kind), x, strict=True)
    return torch.stack([references.METHODS[name](score, z, animal).detach().expand_as(z) for score, z in pairs])
