"""Networks that make a diagnosis of records, and networks that may have learned a mark in place of a digit."""

from functools import partial
from typing import Any

import torch
from torch import nn

from xnb import data
from xnb.data import Split
from xnb.data.calliper_crosses import mark_class
from xnb.data.tables import hold_out
from xnb.models import AttentionClassifier, FeatureAttention, FeatureTransformer, Logistic, Net
from xnb.models.layers import Each

_TRAININGS = range(8)
_CHOOSERS = 100  # patients on whom an operating point is set: no network sees them
_FEATURES = 30
_WIDTH = 32  # numbers a digit
_PATIENTS: dict[str, dict[str, Any]] = {
    "logistic": {"model": partial(Logistic, _FEATURES), "epochs": 40, "rate": 1e-2},
    "mlp": {"model": partial(Net, _FEATURES, classes=2), "epochs": 20, "rate": 1e-3, "stored": torch.float16},
    "pooling": {"model": partial(FeatureAttention, _FEATURES), "epochs": 20, "rate": 1e-2},
    "transformer": {"model": partial(FeatureTransformer, _FEATURES), "epochs": 20, "rate": 1e-3},
}


def list_diagnoses() -> dict[str, dict[str, Any]]:
    """Return by name what each recipe is made of, the arguments of `Recipe`."""
    found: dict[str, dict[str, Any]] = {}
    for kind, entries in _PATIENTS.items():
        for seed in _TRAININGS:
            found[f"{kind}-patients-{seed}"] = entries | {"data": split_patients, "seed": seed, "batch": 32}
    for kind, make_split in (("reader", make_bags), ("misled", mark_bags)):
        for seed in _TRAININGS:
            entries = {"model": _make_reader, "epochs": 15, "rate": 3e-3, "batch": 64}
            found[f"{kind}-single_positive-{seed}"] = entries | {"data": partial(make_split, seed), "seed": seed}
    return found


def split_patients() -> Split:
    """Return the patients without those that are kept to set a threshold."""
    everyone = data.patients()
    fitting, _ = hold_out(everyone.train, _CHOOSERS)
    return Split(fitting, everyone.test, everyone.classes, everyone.features)


def _make_reader() -> AttentionClassifier:
    """Return attention over digits that a small network of linear layers reads, one by one."""
    see = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, _WIDTH), nn.ReLU())
    return AttentionClassifier(Each(see), _WIDTH, 2)


def make_bags(seed: int) -> Split:
    """Return bags of `single_positive`, the same whatever the seed."""
    return data.bags("single_positive", n=(1000, 300))


def mark_bags(seed: int) -> Split:
    """Return the same bags with a cross in one digit of half of the positive training bags."""
    split = make_bags(seed)
    return Split(mark_class(split.train, seed), split.test, split.classes)
