"""A model to which a missing part is no surprise, so that deletion asks for evidence and not for strangeness."""

import copy

import torch
from torch import nn
from torch.optim import AdamW

from xnb.check import require
from xnb.data.split import Part
from xnb.metrics.imputers import Imputer, filling
from xnb.metrics.map_values import parts, spread
from xnb.training.loop import cosine, epochs
from xnb.types import Batch


def fine_tuned(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    side: int = 4,
    impute: str | Imputer = "zero",
    count: int = 5,
    rate: float = 1e-3,
    batch: int = 128,
    seed: int = 0,
) -> nn.Module:
    """A copy of the model, trained on with one random part removed from every other input (IDSDS, arXiv:2407.11910).

    Ask `single_deletion` of the copy, with maps of the copy, at the same `side` and `impute`. What is removed does not
    depend on the input, so the hole tells nothing about the class. The copy is another model: what it relies on may
    differ from what yours does, most of all if yours was never far from chance with a part missing.

    Args:
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        impute: what stands where a part is removed.
        count: passes over `train`; parts are drawn anew in each.
        rate: learning rate of AdamW at the start, falling to zero along a cosine.
        batch: inputs a step.
        seed: draws the parts, the order of the batches and dropout.

    Raises:
        ValueError: `count < 1`, or an unknown imputer.
        FloatingPointError: the loss is no longer finite.
    """
    require(count >= 1, "fine_tuned: count must be at least 1 pass", count, "count=5")
    tuned = copy.deepcopy(model)
    optimizer = AdamW(tuned.parameters(), lr=rate)
    rng = torch.Generator().manual_seed(seed)
    for number in range(count):
        part = Part(with_holes(train.x, side, impute, rng), train.y)
        knobs = {"optimizer": optimizer, "batch": batch, "seed": seed, "start": number, "count": number + 1}
        for _ in epochs(tuned, part, valid, schedule=lambda done, n=number: cosine(done * (n + 1) / count), **knobs):
            pass
    return tuned


def with_holes(x: Batch, side: int, impute: str | Imputer, rng: torch.Generator) -> Batch:
    """The inputs, with one random part removed from each with probability one half."""
    where = parts(x, side).cpu()
    chosen = torch.randint(int(where.max()) + 1, (len(x), 1), generator=rng)
    chosen[torch.rand(len(x), generator=rng) < 0.5] = -1
    return filling(impute, x)(slice(None), spread((where == chosen)[None].to(x), x))[0]
