"""Attention pooling and its twin that takes the mean: networks that are stored, others trained once and kept."""

from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from xnb import folders
from xnb.data.split import Split
from xnb.models import picture_classifier
from xnb.training import checkpoints
from xnb.training.loop import cosine, fit


def load_pooling(
    pool: str,
    task: str,
    seed: int,
    *,
    split: Split,
    reach: int = 2,
    epochs: int = 8,
) -> nn.Module:
    """Return the network of a pooling that is stored for this task and seed, or one trained on pictures of `split`.

    Stored are those of bags, `single_positive` and `positive_negative`, and of `shapes`. Of any other task a network
    like that of `shapes` is trained, and kept in the cache: a training that was stopped goes on, one that is done is
    read.

    Args:
        pool: `attention` or `mean`.
        task: name of the data; other data needs another name, as it would find the networks of these.
        split: what is trained on where nothing is stored.
        reach: how many cells further a cell of a picture sees, on each side; bags have none.
        epochs: of a training that is not stored.
    """
    name = f"{pool}{reach}-{task}-{seed}"
    for stored in (f"{pool}-{task}-{seed}", name):
        if stored in checkpoints.RECIPES:
            return checkpoints.load(stored)
    # The weights follow from the seed, and the caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = picture_classifier(pool, len(split.classes), width=24, reach=reach)
    optimizer = AdamW(net.parameters(), lr=3e-3)
    folder = folders.cache_folder() / "trainings" / name
    knobs: dict[str, Any] = {"epochs": epochs, "batch": 128, "schedule": cosine, "seed": seed, "progress": False}
    fit(net, split.train, split.test, folder=folder, optimizer=optimizer, **knobs)
    return net.eval()
