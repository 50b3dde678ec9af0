"""The truth that other methods estimate: the network is trained again without each training input."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from xnb.access.score import logits
from xnb.check import require
from xnb.data.split import Part
from xnb.insight.influence.registry import influence
from xnb.progress import show_progress
from xnb.types import Model

Train = Callable[[Part, int], Model]  # (training part, seed) -> the trained model, in evaluation mode


@influence(needs="retraining", unit="nats", paper="Cook 1977, doi:10.2307/1268249")
def leave_inputs_out(
    train_model: Train, train: Part, test: Part, *, repeats: int = 1, seed: int = 0
) -> Float[Tensor, "B N"]:
    """By how much the loss of a test input is higher after training without a training input, in nats.

    Exact where training is: for a penalised linear model that is trained to the end. A network ends elsewhere for
    another seed, and the difference that one input makes is small beside that: the mean over `repeats` trainings with
    the same seeds on both sides has an error of its own, which `repeats=1` hides.

    Args:
        train_model: returns a model trained on a part with a seed; it is called `repeats` times for each training
            input, and for all of them together.
        repeats: trainings for each number.
        seed: of the first of them; the others follow.

    Raises:
        ValueError: fewer than two training inputs, or no repeat.
    """
    require(len(train) >= 2, "leave_inputs_out: at least two training inputs", len(train), "train = split.train[:100]")
    require(repeats >= 1, "leave_inputs_out: repeats must be at least 1", repeats, "repeats=1")
    seeds = range(seed, seed + repeats)
    whole = _mean_losses(train_model, train, test, seeds)
    found = train.x.new_empty(len(test), len(train))
    for n in show_progress(range(len(train)), len(train), "training input"):
        others = torch.arange(len(train)) != n
        found[:, n] = _mean_losses(train_model, train[others], test, seeds) - whole
    return found


def _mean_losses(train_model: Train, part: Part, test: Part, seeds: range) -> Float[Tensor, " B"]:
    """Losses of the test inputs, each the mean over trainings."""
    losses = []
    for seed in seeds:
        out = logits(train_model(part, seed), test.x)
        losses.append(F.cross_entropy(out, test.y, reduction="none"))
    return torch.stack(losses).mean(0)
