"""Small trained networks that notebooks explain, so that their numbers agree on every machine.

`python -m xnb.training.checkpoints` trains them again, from their data and seed, and rewrites `data/checkpoints/`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW
from tqdm.auto import tqdm

from xnb import data, folders, storage
from xnb.check import entry, require
from xnb.data import Split
from xnb.models import BagNet, BcosNet, Ensemble, SmallCNN, ViT, bag_classifier, picture_classifier, plain
from xnb.training.loop import Objective, Schedule, cosine, cross_entropy, evaluate, fit, warmed
from xnb.training.objectives import focused, masking, right_reasons

FOLDER = folders.DATA / "checkpoints"


@dataclass(frozen=True)
class Recipe:
    """All that a checkpoint is a function of, up to the rounding of the machine that trained it."""

    model: Callable[[], nn.Module]
    data: Callable[[], Split]
    count: int
    rate: float
    seed: int = 0
    batch: int = 128
    schedule: Schedule = cosine
    stored: torch.dtype = torch.float32  # half of the digits is half of the file; the accuracy stated is that of these
    objective: Objective = cross_entropy


RECIPES = {
    "smallcnn-shapes": Recipe(lambda: SmallCNN(3, 6), lambda: data.shapes(n=(6000, 1000)), 12, 3e-3),
    "smallcnn-digits": Recipe(lambda: SmallCNN(1, 10), data.digits, 20, 3e-3),
}
# Three trainings of attention pooling and of its twin that takes the mean: on bags, and on pictures, where the number
# says how many cells further a cell sees.
BAGS = {task: partial(data.bags, task) for task in ("single_positive", "four_bags", "positive_negative")}
SHAPES = partial(data.shapes, n=(4000, 500))
RECIPES |= {
    f"{pool}-{task}-{seed}": Recipe(partial(bag_classifier, pool, K), BAGS[task], 20, 3e-3, seed)
    for task, K in zip(BAGS, (2, 4, 2), strict=True)
    for pool in ("attention", "mean")
    for seed in range(3)
}
RECIPES |= {
    f"{pool}{reach}-shapes-{seed}": Recipe(
        partial(picture_classifier, pool, width=24, reach=reach), SHAPES, 12, 3e-3, seed
    )
    for pool, reach in (("attention", 0), ("attention", 1), ("attention", 2), ("attention", 4), ("mean", 2))
    for seed in range(3)
}
# Three trainings of a Transformer, and three of one with registers.
MANY = partial(data.shapes, n=(9000, 1000))
RECIPES |= {
    f"{kind}-shapes-{seed}": Recipe(
        partial(ViT, width=48, overlap=2, waves=0.2, registers=registers),
        MANY,
        *(7, 3e-3, seed, 64, warmed, torch.float16),
    )
    for kind, registers in (("vit", 0), ("registers", 4))
    for seed in range(3)
}
# Before and after: what is said to make a network explainable, three trainings in each file.
SMALL = partial(data.shapes, 24, n=(2000, 500))
MARKED = partial(data.watermark, 0.95, 24, n=(2000, 500))
FREE = partial(data.watermark, 0.5, 24, n=(2000, 500))
POOLED = partial(picture_classifier, width=24, depth=3, reach=1)


def three(make: Callable[[], nn.Module], source: Callable[[], Split], rate: float, **knobs: object) -> Recipe:
    count = knobs.pop("count", 15)
    return Recipe(partial(Ensemble, make, 3), source, count, rate, batch=64, stored=torch.float16, **knobs)


RECIPES |= {
    "plain-shapes24": three(plain, SMALL, 5e-3),
    "early-shapes24": three(plain, SMALL, 5e-3, count=7),
    "nonorm-shapes24": three(partial(plain, norm=False), SMALL, 3e-3),
    "nobias-shapes24": three(partial(plain, bias=False), SMALL, 1e-2),
    "neither-shapes24": three(partial(plain, norm=False, bias=False), SMALL, 1e-2),
    "masking-shapes24": three(plain, SMALL, 5e-3, objective=masking()),
    "bagnet-shapes24": three(BagNet, SMALL, 1e-2),
    "bcos-shapes24": three(BcosNet, SMALL, 2e-3, count=25),
    "marked-watermark": three(partial(plain, classes=2), MARKED, 5e-3),
    "fined-watermark": three(partial(plain, classes=2), MARKED, 5e-3, objective=right_reasons(1e4, 2)),
    "elsewhere-watermark": three(
        partial(plain, classes=2), MARKED, 5e-3, objective=right_reasons(1e4, 2, elsewhere=True)
    ),
    "repaired-watermark": three(partial(plain, classes=2), FREE, 5e-3),
    "attention-shapes24": three(POOLED, SMALL, 5e-3),
    "focused-shapes24": three(POOLED, SMALL, 5e-3, objective=focused(0.1)),
    "diffuse-shapes24": three(POOLED, SMALL, 5e-3, objective=focused(-0.5)),
}


def load(name: str) -> nn.Module:
    """The named network in evaluation mode, its file checked against the manifest.

    Raises:
        ValueError: unknown name, or the file is not the one the manifest describes.
    """
    recipe = entry(RECIPES, name, "checkpoints: no checkpoint of that name")
    path, known = FOLDER / f"{name}.safetensors", manifest()[name]["sha256"]
    require(storage.sha256(path) == known, "checkpoints: the file is not the one in the manifest", path.name)
    model = recipe.model().eval()
    storage.load(model, path)
    return model


def manifest() -> dict[str, dict]:
    """Name -> data, seed, epochs, accuracy on the test part, parameters, sha256."""
    return json.loads((FOLDER / "manifest.json").read_text())


def make(name: str, folder: Path = FOLDER) -> dict:
    """Train the named network by its recipe, store it, and return its manifest entry."""
    recipe = RECIPES[name]
    split = recipe.data()
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = recipe.model()
    knobs = {"batch": recipe.batch, "schedule": recipe.schedule, "objective": recipe.objective}
    for seed, net in enumerate(model.members if isinstance(model, Ensemble) else [model], recipe.seed):
        optimizer = AdamW(net.parameters(), lr=recipe.rate, fused=True)  # a tenth of the time saved
        fit(net, split.train, split.test, count=recipe.count, optimizer=optimizer, seed=seed, **knobs)
    model.eval()
    model.to(recipe.stored).float()
    facts = {"data": name.split("-")[1], "seed": recipe.seed, "epochs": recipe.count}
    facts |= {"accuracy": round(evaluate(model, split.test)[1], 4)}
    path = folder / f"{name}.safetensors"
    storage.write(path, model.to(recipe.stored).state_dict(), facts)
    return facts | {"parameters": sum(p.numel() for p in model.parameters()), "sha256": storage.sha256(path)}


def main() -> None:
    entries = {name: make(name) for name in tqdm(RECIPES, unit="checkpoint")}
    (FOLDER / "manifest.json").write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
