"""Networks trained on all of CIFAR-10, three trainings of each kind, in `data/cifar10/`.

`python -m xnb.training.cifar10` trains those that the folder lacks, or whose recipe is another one by now; names behind
it train these again. A training that was stopped goes on from its last epoch. The pictures are those of
`xnb.data.cifar10`; the stored networks were trained and tested on a copy in JPEG.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import torch
from scipy.stats import t
from torch import nn
from tqdm.auto import tqdm

from xnb import data, folders, storage
from xnb.check import find_entry, refuse, require
from xnb.data import Part, Split
from xnb.training.cifar_recipes import CifarRecipe, list_cifar_recipes
from xnb.training.loop import evaluate, fit
from xnb.training.machine import describe_machine
from xnb.training.objectives import label_smoothing
from xnb.training.weight_folder import load_listed, read_facts, weight_file, write_facts

FOLDER = folders.DATA / "cifar10"
RECIPES = list_cifar_recipes()
_UNKNOWN = "cifar10: no network of that name"
_CURVE = ["train_loss", "train_accuracy", "valid_loss", "valid_accuracy"]


def load(name: str) -> nn.Module:
    """Return the named network, `{kind}-{seed}`, in evaluation mode, its file checked against the manifest.

    Raises:
        ValueError: unknown name, a network that is not trained yet, or a file that is not the one of the manifest.
    """
    recipe = find_entry(RECIPES, name, _UNKNOWN)
    if name not in read_facts(FOLDER):
        refuse("cifar10: this network is not trained yet", name, f"xnb.training.cifar10.main([{name!r}])")
    return load_listed(recipe.model(), FOLDER, name, "cifar10")


def summarise_trainings(folder: Path = FOLDER) -> pd.DataFrame:
    """Return a row a kind: trainings, mean of their test accuracies, its 95 % interval by Student's t, seconds.

    The interval is over trainings alone, on one test part. Of three it is 2.5 standard deviations to each side: what
    differs by less is not told apart. Of one training there is none.
    """
    found = pd.DataFrame.from_dict(read_facts(folder), orient="index")
    rows = {}
    for kind, runs in found.groupby("model", sort=False):
        accuracy = runs["accuracy"]
        count = len(accuracy)
        half = t.ppf(0.975, count - 1) * accuracy.std() / count**0.5
        rows[kind] = {
            "trainings": count,
            "accuracy": accuracy.mean(),
            "low": accuracy.mean() - half,
            "high": accuracy.mean() + half,
            "seconds": runs["seconds"].mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def hash_split(split: Split) -> str:
    """Return the SHA-256 of pixels, as bytes, and classes of both parts: copies in JPEG have another than originals."""
    digest = hashlib.sha256()
    for part in (split.train, split.test):
        for pictures in part.x.split(1000):
            pixels = (pictures * 255).round().to(torch.uint8)
            digest.update(pixels.numpy().tobytes())
        digest.update(part.y.numpy().tobytes())
    return digest.hexdigest()


def take_fifth(part: Part) -> Part:
    """Return every fifth input, of all classes alike: enough to see that a network is the one of the manifest."""
    return part[torch.arange(0, len(part), 5)]


def list_missing(folder: Path = FOLDER) -> list[str]:
    """Return the names of networks that are not in the folder, or were trained by another recipe."""
    entries = read_facts(folder)
    return [name for name, recipe in RECIPES.items() if entries.get(name, {}).get("recipe") != recipe.hash_text()]


def _train_network(name: str, split: Split, folder: Path = FOLDER, device: str = "cpu") -> dict:
    """Train the named network, store its weights as float16, and return its manifest entry.

    Args:
        name: of the recipe.
        split: all of CIFAR-10.
        folder: of the weights.
        device: that trains; accuracies are measured on the processor.
    """
    recipe = find_entry(RECIPES, name, _UNKNOWN)
    facts = {
        "model": name.split("-")[0],
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "recipe": recipe.hash_text(),
        "data": hash_split(split),
    }
    model, history = _run_recipe(recipe, split, _run_folder(name, facts), device)
    # The accuracy is that of the stored weights, as they are loaded: rounded, in the usual layout, on the processor.
    model.cpu().to(memory_format=torch.contiguous_format).to(torch.float16)
    path = weight_file(folder, name)
    storage.write_tensors(path, model.state_dict(), facts)
    model.float()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return facts | {
        "accuracy": round(evaluate(model, split.test).accuracy, 4),
        "accuracy_of_fifth": round(evaluate(model, take_fifth(split.test)).accuracy, 4),
        "parameters": parameters,
        "sha256": storage.sha256(path),
        "seconds": round(history["seconds"].sum()),
        "machine": describe_machine(torch.device(device)),
        "curve": {column: history[column].round(4).tolist() for column in _CURVE},
    }


def _run_folder(name: str, facts: dict) -> Path:
    """Return where a training that was stopped is found again: only one of the same recipe on the same pictures."""
    same = hashlib.sha256(f"{facts['recipe']} {facts['data']}".encode()).hexdigest()
    return folders.cache_folder() / "trainings" / f"{name}-cifar10-{same[:12]}"


def _run_recipe(recipe: CifarRecipe, split: Split, folder: Path, device: str) -> tuple[nn.Module, pd.DataFrame]:
    """Return the trained network in evaluation mode, and a row an epoch."""
    model = recipe.make_model().to(device)
    if recipe.optimizer == "sgd":
        # Convolutions take a half to nine tenths of the time in this layout. AdamW's fused step would mistake the
        # state of a run that goes on, which has the usual layout.
        model = model.to(memory_format=torch.channels_last)
    history = fit(
        model,
        split.train,
        split.test,
        folder=folder,
        progress=sys.stderr.isatty(),
        epochs=recipe.epochs,
        optimizer=recipe.make_optimizer(model),
        batch=recipe.batch,
        schedule=recipe.schedule,
        seed=recipe.seed,
        objective=label_smoothing(recipe.smoothing),
        augment=recipe.make_augment(),
    )
    return model.eval(), history


def check_networks(split: Split, folder: Path = FOLDER) -> pd.DataFrame:
    """Return for each stored network its accuracy by the manifest and on these pictures, a row a network.

    Raises:
        ValueError: the networks were trained on another copy of CIFAR-10.
    """
    pictures = hash_split(split)
    rows = {}
    for name, entry in tqdm(read_facts(folder).items(), unit="network", leave=False):
        hint = "the copy that data/README.md names"
        require(entry["data"] == pictures, f"cifar10: {name} belongs to another copy of the pictures", pictures, hint)
        model = load_listed(RECIPES[name].model(), folder, name, "cifar10")
        rows[name] = {"manifest": entry["accuracy"], "measured": evaluate(model, split.test).accuracy}
    return pd.DataFrame.from_dict(rows, orient="index")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the named networks, or all that are missing, write them into the manifest, and print what there is."""
    command = argparse.ArgumentParser(description="Train networks on all of CIFAR-10, into data/cifar10.")
    command.add_argument("names", nargs="*", help="kind-seed, as resnet-0; those that are missing if there are none")
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1")
    command.add_argument("--folder", type=Path, default=FOLDER, help="of weights and manifest")
    command.add_argument("--check", action="store_true", help="train nothing: measure what is stored on all pictures")
    asked = command.parse_args(arguments)
    names = asked.names or list_missing(asked.folder)
    # Before the pictures are read: a wrong name is refused at once.
    for name in names:
        find_entry(RECIPES, name, _UNKNOWN)
    split = data.cifar10()
    if asked.check:
        _print_table(check_networks(split, asked.folder))
        return
    _train_all(names, split, asked.folder, asked.device)
    _print_table(summarise_trainings(asked.folder))


def _train_all(names: Iterable[str], split: Split, folder: Path, device: str) -> None:
    for name in tqdm(list(names), unit="network"):
        # One at a time: what was trained before an interruption stays.
        entry = _train_network(name, split, folder, device)
        write_facts(folder, name, entry, order=RECIPES)


def _print_table(table: pd.DataFrame) -> None:
    text = table.to_string(float_format="{:.4f}".format)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
