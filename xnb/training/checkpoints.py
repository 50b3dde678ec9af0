"""Small trained networks that notebooks explain, so that their numbers agree on every machine.

`python -m xnb.training.checkpoints` trains those that `data/checkpoints/` lacks, from their data and seed; names
behind it train these again.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW
from tqdm.auto import tqdm

from xnb import data, folders, storage
from xnb.check import find_entry, require
from xnb.data import Split
from xnb.models import Ensemble, SmallCNN, ViT, bag_classifier, picture_classifier
from xnb.training.changes import list_changes
from xnb.training.diagnosis_recipes import list_diagnoses
from xnb.training.loop import Objective, Schedule, cosine, cross_entropy, evaluate, fit, warmup_cosine
from xnb.training.rendered_recipes import list_rendered
from xnb.training.twins import list_twins
from xnb.training.weight_folder import load_listed, read_facts, weight_file, write_facts

FOLDER = folders.DATA / "checkpoints"
# Networks that are compared with each other: of fewer than eight an interval over trainings leaves nearly all open.
_TRAININGS = range(8)


@dataclass(frozen=True)
class Recipe:
    """All that a checkpoint is a function of, up to the rounding of the machine that trained it.

    Attributes:
        model: makes the network with its first weights.
        data: makes the data set.
        epochs: in all.
        rate: learning rate of AdamW at the start.
        seed: of the first weights, the order of the batches and dropout.
        batch: inputs a step.
        schedule: of the learning rate.
        stored: precision of the weights in the file; the accuracy in the manifest is that of the rounded weights.
        objective: what is minimised.
        start: checkpoint whose weights it goes on from, trained before; None begins anew.
    """

    model: Callable[[], nn.Module]
    data: Callable[[], Split]
    epochs: int
    rate: float
    seed: int = 0
    batch: int = 128
    schedule: Schedule = cosine
    stored: torch.dtype = torch.float32
    objective: Objective = cross_entropy
    start: str | None = None


def _list_recipes() -> dict[str, Recipe]:
    """Return the recipe of each checkpoint by its name, `{model}-{data}` or `{model}-{data}-{seed}`."""
    shapes = partial(data.shapes, n=(6000, 1000))
    recipes = {"smallcnn-shapes": Recipe(partial(SmallCNN, 3, 6), shapes, epochs=12, rate=3e-3)}
    recipes["smallcnn-digits"] = Recipe(partial(SmallCNN, 1, 10), data.digits, epochs=20, rate=3e-3)
    recipes |= _list_bag_recipes()
    recipes |= _list_pooling_recipes()
    recipes |= _list_transformer_recipes()
    others = list_changes() | list_twins() | list_diagnoses() | list_rendered()
    return recipes | {name: Recipe(**entries) for name, entries in others.items()}


def _list_bag_recipes() -> dict[str, Recipe]:
    """Return the recipes of attention pooling and of its twin that takes the mean, on each kind of bags."""
    recipes = {}
    for task in ("single_positive", "positive_negative"):
        bags = partial(data.bags, task)
        for pool in ("attention", "mean"):
            model = partial(bag_classifier, pool, 2)
            for seed in _TRAININGS:
                recipe = Recipe(model, bags, epochs=20, rate=3e-3, seed=seed)
                recipes[f"{pool}-{task}-{seed}"] = recipe
    return recipes


def _list_pooling_recipes() -> dict[str, Recipe]:
    """Return the recipes of both poolings on pictures; names hold `reach`, how many cells further a cell sees."""
    recipes = {}
    shapes = partial(data.shapes, n=(4000, 500))
    for pool, reach in (("attention", 0), ("attention", 1), ("attention", 2), ("attention", 4), ("mean", 2)):
        model = partial(picture_classifier, pool, width=24, reach=reach)
        for seed in _TRAININGS:
            recipe = Recipe(model, shapes, epochs=12, rate=3e-3, seed=seed)
            recipes[f"{pool}{reach}-shapes-{seed}"] = recipe
    return recipes


def _list_transformer_recipes() -> dict[str, Recipe]:
    """Return the recipes of a Transformer, of one with registers, and of a CNN that saw the same pictures as often."""
    transformer = partial(ViT, width=48, overlap=2, waves=0.2)
    models: dict[str, Callable[[], nn.Module]] = {
        "vit": transformer,
        "registers": partial(transformer, registers=4),
        "cnn": partial(SmallCNN, 3, 6),
    }
    recipes = {}
    shapes = partial(data.shapes, n=(9000, 1000))
    for kind, model in models.items():
        for seed in _TRAININGS:
            recipes[f"{kind}-shapes-{seed}"] = Recipe(
                model,
                shapes,
                epochs=7,
                rate=3e-3,
                seed=seed,
                batch=64,
                schedule=warmup_cosine,
                stored=torch.float16,
            )
    return recipes


RECIPES = _list_recipes()


def load(name: str) -> nn.Module:
    """Return the named network in evaluation mode, its file checked against the manifest.

    Raises:
        ValueError: unknown name, a network that is not stored here, as where the package was installed without the
            repository, or the file is not the one the manifest describes.
    """
    recipe = find_entry(RECIPES, name, "checkpoints: no checkpoint of that name")
    rule = f"checkpoints: the trained networks are files of the repository; here they belong into {FOLDER}"
    require(name in read_manifest(), rule, name, f"xnb.checkpoints.main([{name!r}])  # trains it")
    return load_listed(recipe.model(), FOLDER, name, "checkpoints")


def read_manifest() -> dict[str, dict]:
    """Return by name: data, seed, epochs, accuracy on the test part, number of parameters, sha256 of the file."""
    return read_facts(FOLDER)


def train_checkpoint(name: str, folder: Path | None = None) -> dict:
    """Train the named network by its recipe, store it, and return its manifest entry."""
    recipe = RECIPES[name]
    split = recipe.data()
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = recipe.model() if recipe.start is None else load(recipe.start)
    _train_by_recipe(model, recipe, split)
    # The accuracy is that of the stored weights, so they are rounded before it is measured.
    model.to(recipe.stored).float()
    accuracy = evaluate(model, split.test).accuracy
    facts = {
        "data": name.split("-")[1],
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "accuracy": round(accuracy, 4),
    }
    path = weight_file(folder or FOLDER, name)
    storage.write_tensors(path, model.to(recipe.stored).state_dict(), facts)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return facts | {"parameters": parameters, "sha256": storage.sha256(path)}


def _train_by_recipe(model: nn.Module, recipe: Recipe, split: Split) -> None:
    """Train the network in place and leave it in evaluation mode; each member of an ensemble has its own seed."""
    members = model.members if isinstance(model, Ensemble) else [model]
    for seed, network in enumerate(members, recipe.seed):
        optimizer = AdamW(network.parameters(), lr=recipe.rate, fused=True)  # fused saves a tenth of the time
        fit(
            network,
            split.train,
            split.test,
            epochs=recipe.epochs,
            optimizer=optimizer,
            batch=recipe.batch,
            schedule=recipe.schedule,
            seed=seed,
            objective=recipe.objective,
        )
    model.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the named checkpoints, or all that are missing, and write them into the manifest."""
    command = argparse.ArgumentParser(description="Train networks of data/checkpoints.")
    command.add_argument("names", nargs="*", help="of checkpoints; those that are missing if there are none")
    names = command.parse_args(arguments).names or [name for name in RECIPES if name not in read_manifest()]
    for name in names:
        find_entry(RECIPES, name, "checkpoints: no checkpoint of that name")
    for name in tqdm(names, unit="checkpoint"):
        # One at a time: what was trained before an interruption stays, and what others wrote meanwhile.
        entry = train_checkpoint(name)
        write_facts(FOLDER, name, entry, order=RECIPES)


if __name__ == "__main__":
    main()
