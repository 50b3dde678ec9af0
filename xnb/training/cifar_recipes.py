"""How networks are trained on all 50,000 pictures of CIFAR-10: five kinds, three trainings of each."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from xnb.models import Net, ResNet, SmallCNN, ViT, picture_classifier
from xnb.training.augmentation import flips_and_shifts, random_flips
from xnb.training.loop import Augment, Schedule, warmup_cosine

_TRAININGS = 3


@dataclass(frozen=True)
class CifarRecipe:
    """All that a network is a function of, beside the pictures, up to the rounding of the machine that trained it.

    Attributes:
        model: makes the network with its first weights.
        epochs: in all; the last weights are stored, not the best.
        rate: highest learning rate.
        optimizer: "sgd", with Nesterov's momentum of 0.9 and batches whose layout is channels last, or "adamw".
        decay: weight decay, of all parameters.
        smoothing: share of each label that is spread over all classes.
        shift: pixels that a picture is moved by at most, beside flips; 0 for flips alone.
        batch: inputs a step.
        schedule: of the learning rate.
        seed: of the first weights, the order of the batches and the augmentation.
    """

    model: Callable[[], nn.Module]
    epochs: int
    rate: float
    optimizer: str
    decay: float
    smoothing: float = 0.0
    shift: int = 0
    batch: int = 128
    schedule: Schedule = warmup_cosine
    seed: int = 0

    def make_model(self) -> nn.Module:
        """Return the network with its first weights, the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.model()

    def make_optimizer(self, model: nn.Module) -> Optimizer:
        """Return the optimizer of the model's parameters."""
        if self.optimizer == "adamw":
            return AdamW(model.parameters(), lr=self.rate, weight_decay=self.decay, fused=True)
        return SGD(model.parameters(), lr=self.rate, momentum=0.9, nesterov=True, weight_decay=self.decay)

    def make_augment(self) -> Augment:
        """Return what changes the pictures before they are learned."""
        return flips_and_shifts(self.shift) if self.shift else random_flips()

    def describe(self) -> dict[str, Any]:
        """Return the recipe in words and numbers, the shapes of the network's weights included."""
        described = {field.name: getattr(self, field.name) for field in fields(self)}
        shapes = {name: list(value.shape) for name, value in self.make_model().state_dict().items()}
        called = {"model": _spell_call(self.model), "schedule": _spell_call(self.schedule)}
        return described | called | {"shapes": shapes}

    def hash_text(self) -> str:
        """Return the SHA-256 of the description: another one is another recipe."""
        text = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _spell_call(make: Callable) -> str:
    """Return the name of what is called, with the arguments that `partial` has bound."""
    if not isinstance(make, partial):
        return make.__name__
    bound = [repr(value) for value in make.args]
    bound += [f"{name}={value!r}" for name, value in sorted(make.keywords.items())]
    arguments = ", ".join(bound)
    return f"{make.func.__name__}({arguments})"


# The cheapest kind first. Rates are those of earlier networks of the collection, and for SGD the usual one.
_KINDS: dict[str, Callable[..., CifarRecipe]] = {
    # The article's network, 3072-256-128-10.
    "mlp": partial(
        CifarRecipe,
        partial(Net, 3072),
        epochs=15,
        rate=1e-3,
        optimizer="adamw",
        decay=0.01,
    ),
    # Of notebook 04, at its full width.
    "attention": partial(
        CifarRecipe,
        partial(picture_classifier, "attention", 10),
        epochs=12,
        rate=5e-3,
        optimizer="adamw",
        decay=0.01,
        shift=2,
    ),
    "smallcnn": partial(
        CifarRecipe,
        partial(SmallCNN, 3, 10),
        epochs=8,
        rate=0.1,
        optimizer="sgd",
        decay=5e-4,
        shift=2,
    ),
    # Of notebooks 05 and 16.
    "vit": partial(
        CifarRecipe,
        partial(ViT, classes=10, width=48, overlap=2, waves=0.2),
        epochs=8,
        rate=3e-3,
        optimizer="adamw",
        decay=0.01,
    ),
    "resnet": partial(
        CifarRecipe,
        ResNet,
        epochs=32,  # ten, with shifts of two pixels, reach 83.7 %
        rate=0.1,
        optimizer="sgd",
        decay=5e-4,
        smoothing=0.1,
        shift=4,
    ),
}


def list_cifar_recipes() -> dict[str, CifarRecipe]:
    """Return the recipe of each training by its name, `{kind}-{seed}`: one of every kind before the second of any."""
    return {f"{kind}-{seed}": make(seed=seed) for seed in range(_TRAININGS) for kind, make in _KINDS.items()}
