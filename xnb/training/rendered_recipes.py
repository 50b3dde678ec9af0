"""Networks whose pictures can be rendered otherwise: an object with two label sets, robots without a part."""

from functools import partial
from typing import Any

import torch

from xnb import data
from xnb.data.robot_pictures import ROBOT_CLASSES
from xnb.models import plain_cnn

_TRAININGS = range(4)


def list_rendered() -> dict[str, dict[str, Any]]:
    """Return by name what each recipe is made of, the arguments of `Recipe`.

    `object-textures` and `texture-textures` learn the same pictures, one the object and one the texture behind it.
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
    return recipes
