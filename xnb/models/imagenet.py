"""ImageNet networks of torchvision with their published weights, their preprocessing and the names of their classes."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum

from xnb.check import find_entry, refuse, require
from xnb.models.preprocess import Preprocess
from xnb.models.published_files import Source, find_or_download, read_state

# How torchvision builds networks whose trained form is another than the one without weights.
_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "aux_logits": False, "init_weights": False},
    "inception_v3": {"transform_input": True, "init_weights": False},
}
HASH_DIGITS = re.compile(r"-([0-9a-f]{8,})\.")  # in the name of a file: how its SHA-256 sum begins
_OLDER_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # of DenseNets, from before names had no dots


class Pretrained(NamedTuple):
    """A network of ImageNet and what belongs to it.

    Attributes:
        model: in evaluation mode.
        preprocess: turns a photograph into its input, normalised; `preprocess.invert` makes it a picture again.
        classes: names of the logits, in their order.
    """

    model: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]


def load_imagenet(
    name: str,
    folder: str | Path | None = None,
    *,
    weights: str | WeightsEnum = "DEFAULT",
) -> Pretrained:
    """Return a network of torchvision with its published weights, the preprocessing of these, and its classes.

        model, preprocess, classes = xnb.models.load_imagenet("resnet50")
        x = preprocess(PIL.Image.open("cat.jpg"))

    The file has the name that it has in the address that torchvision publishes, `resnet50-11ad3fa6.pth`. It is taken
    from `folder`, else from the folder that the variable `XNB_WEIGHTS` names, else from the cache of `torch.hub`, else
    downloaded into that cache. Its SHA-256 sum must begin with the digits in its name, and it is read without running
    code from it. Accuracies stand in the `meta` of the weights.

    Args:
        name: of a classifier in torchvision, as `resnet50`, `convnext_tiny`, `vit_b_16`.
        folder: holds the file.
        weights: which of the published ones, as `IMAGENET1K_V1`, or a member of torchvision's enum. They differ in
            their file, their accuracy and sometimes in their preprocessing. DEFAULT are the most accurate.

    Raises:
        ConnectionError: the file is not on disk and cannot be downloaded.
        ValueError: unknown `name` or `weights`, a file with another sum, the weights of another network, or of features
            without the logits.
    """
    known = dict.fromkeys(models.list_models(module=models), name)
    find_entry(known, name, "load_imagenet: no classifier of that name in torchvision")
    if isinstance(weights, str):
        published = models.get_model_weights(name).__members__
        weights = find_entry(published, weights, f"load_imagenet: no weights of that name for {name}")
    rule = "load_imagenet: the weights must be those of a classifier, up to its logits"
    require(bool(weights.meta["categories"]), rule, weights.name, 'weights="DEFAULT"')
    path = _find_published(weights, folder)
    model = build_classifier(name, weights)
    _fill_in(model, read_state(path), name)
    classes = tuple(weights.meta["categories"])
    return Pretrained(model.eval(), Preprocess.of(weights), classes)


def _find_published(weights: WeightsEnum, folder: str | Path | None) -> Path:
    file = Path(urlparse(weights.url).path).name
    digits = HASH_DIGITS.search(file)
    source = Source(digits[1] if digits else "", "", weights.url, weights.url)
    named = [folder, os.environ.get("XNB_WEIGHTS")]
    folders = [Path(place) for place in named if place]
    folders.append(Path(torch.hub.get_dir()) / "checkpoints")
    return find_or_download([place / file for place in folders], source)


def build_classifier(name: str, weights: WeightsEnum) -> nn.Module:
    """The network that these weights are of, with random weights; the caller's draws stay as they are."""
    options = dict(_OPTIONS.get(name, {}))
    options["num_classes"] = len(weights.meta["categories"])
    if name.startswith("vit_"):  # as many positions as patches of the pictures that it was trained on
        options["image_size"] = weights.meta["min_size"][0]
    with torch.random.fork_rng(devices=[]):
        return models.get_model(name, weights=None, **options)


def _fill_in(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    for theirs in list(state):  # in place: a state knows more than its entries, versions of its modules
        tensor = state.pop(theirs)
        if not theirs.startswith(("aux1.", "aux2.")):  # heads that GoogLeNet has in training alone
            state[_OLDER_NAME.sub(r"\1\2.", theirs)] = tensor
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        hint = "the name of the network that the weights are of, or weights of this one"
        refuse(f"load_imagenet: the weights must be those of {name}", str(error), hint)
