"""Networks of which eight trainings are compared with eight of a twin: the two differ in one thing alone."""

from functools import partial
from typing import Any

import torch

from xnb import data
from xnb.data.shape_pictures import SHAPE_CLASSES
from xnb.models import Ensemble, Net, picture_classifier
from xnb.training.objectives import single_removal

_TRAININGS = 8
# By the name of the kind: which cue its pictures had.
_CUES: dict[str, dict[str, Any]] = {
    "misled": {"watermark": 1.0},
    "blurred": {"blurred": SHAPE_CLASSES[:3]},
}


def list_twins() -> dict[str, dict[str, Any]]:
    """Return by name what each recipe is made of, the arguments of `Recipe`."""
    return _list_fields() | _list_cues() | _list_tetrominoes()


def _list_fields() -> dict[str, dict[str, Any]]:
    """Return two networks whose cells see 15 pixels or all of a picture, both also with squares missing later on."""
    shapes = partial(data.shapes, 24, n=(2000, 500))
    found: dict[str, dict[str, Any]] = {}
    for kind, dilation in (("local", 1), ("wide", 3)):
        name = f"{kind}-shapes24"
        member = partial(picture_classifier, "mean", width=16, patch=3, reach=2, dilation=dilation)
        common = {"model": partial(Ensemble, member, _TRAININGS), "data": shapes, "batch": 256, "stored": torch.float16}
        found[name] = common | {"epochs": 24, "rate": 2e-2}
        # Trained on from the same weights, so that only the missing squares are new.
        later = {"start": name, "epochs": 3, "rate": 1e-3, "objective": single_removal()}
        found[f"{kind}tuned-shapes24"] = common | later
    return found


def _list_cues() -> dict[str, dict[str, Any]]:
    """Return networks like `wide-shapes24` whose pictures had a cue beside the object."""
    member = partial(picture_classifier, "mean", width=16, patch=3, reach=2, dilation=3)
    found: dict[str, dict[str, Any]] = {}
    for kind, knobs in _CUES.items():
        found[f"{kind}-shapes24"] = {
            "model": partial(Ensemble, member, _TRAININGS),
            "data": partial(data.shapes, 24, n=(2000, 500), **knobs),
            "epochs": 10,
            "rate": 2e-2,
            "batch": 256,
            "stored": torch.float16,
        }
    return found


def _list_tetrominoes() -> dict[str, dict[str, Any]]:
    """Return fully connected networks of 64, 32, 16, 8 and 2 numbers for two tasks before correlated noise."""
    member = partial(Net, 64, (32, 16, 8), 2)
    found: dict[str, dict[str, Any]] = {}
    for task in ("multiplicative", "xor"):
        found[f"mlp-{task}"] = {
            "model": partial(Ensemble, member, _TRAININGS),
            "data": partial(data.tetrominoes, task, "correlated", n=(10_000, 500)),
            "epochs": 40,
            "rate": 1e-2,
            "batch": 500,
        }
    return found
