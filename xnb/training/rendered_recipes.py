"""Networks of rendered pictures: an object with two label sets, robots without a part, labels that were shuffled."""

from functools import partial
from typing import Any

import torch

from xnb import data
from xnb.access.draws import make_generator
from xnb.data import Part, Split
from xnb.data.robot_pictures import ROBOT_CLASSES
from xnb.models import plain_cnn

_TRAININGS = range(4)
_TWINS = range(8)  # two by two they are compared: of fewer than eight an interval leaves nearly all open
_LEARNED_BY_HEART = 180  # pictures, all of whose labels so small a network remembers


def list_rendered() -> dict[str, dict[str, Any]]:
    """Return by name what each recipe is made of, the arguments of `Recipe`.

    `object-textures` and `texture-textures` learn the same pictures, one the object and one the texture behind it.
    `few-textures` and `shuffled-textures` learn few pictures by heart, one with the right labels and one with labels
    dealt out anew: by seed they differ in nothing else.
    """
    shared = {"rate": 1e-2, "batch": 32, "stored": torch.float16}
    textures = partial(data.objects_on_textures, n=(1800, 180))
    robots = partial(data.robots, n=(1800, 180))
    kinds: dict[str, dict[str, Any]] = {
        "object-textures": {"model": plain_cnn, "data": partial(textures, "object"), "epochs": 5},
        "texture-textures": {"model": plain_cnn, "data": partial(textures, "texture"), "epochs": 5},
        "parts-robots": {"model": partial(plain_cnn, classes=len(ROBOT_CLASSES)), "data": robots, "epochs": 12},
    }
    recipes = {}
    for kind, entries in kinds.items():
        for seed in _TRAININGS:
            recipes[f"{kind}-{seed}"] = entries | shared | {"seed": seed}
    for seed in _TWINS:
        twin = {"model": plain_cnn, "epochs": 100} | shared | {"seed": seed}
        recipes[f"few-textures-{seed}"] = twin | {"data": draw_few}
        recipes[f"shuffled-textures-{seed}"] = twin | {"data": partial(draw_shuffled, seed)}
    return recipes


def draw_few() -> Split:
    """Return few pictures of objects before textures, as many as a small network learns by heart."""
    return data.objects_on_textures(n=(_LEARNED_BY_HEART, 180))


def draw_shuffled(seed: int) -> Split:
    """Return the pictures of `draw_few` with their training labels dealt out anew; those of the test stay."""
    few = draw_few()
    order = torch.randperm(len(few.train.y), generator=make_generator("shuffled labels", seed))
    return Split(Part(few.train.x, few.train.y[order]), few.test, few.classes)
