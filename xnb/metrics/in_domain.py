"""A model to which a missing part is no surprise, so that deletion asks for evidence and not for strangeness."""

import torch
from torch import nn
from torch.optim import AdamW

from xnb.access.copies import copy_module
from xnb.access.draws import make_generator
from xnb.access.units import Axes, Units
from xnb.check import require
from xnb.data.split import Part
from xnb.metrics.imputers import Impute, make_fill
from xnb.metrics.map_values import broadcast_units, part_numbers
from xnb.metrics.units import find_axes
from xnb.training.loop import cosine, train_epochs
from xnb.types import Batch


def fine_tune(
    model: nn.Module,
    train: Part,
    valid: Part,
    *,
    side: int | None = None,
    impute: Impute = "zero",
    units: Units = None,
    epochs: int = 5,
    rate: float = 1e-3,
    batch: int = 128,
    seed: int = 0,
) -> nn.Module:
    """Return a copy of the model, trained on with one random part removed from every other input (IDSDS).

    Ask `single_deletion` of the copy, with maps of the copy, at the same `side`, `impute` and `units`. What is removed
    does not depend on the input, so the hole tells nothing about the class. The copy is another model: what it relies
    on may differ from what yours does, most of all if yours was never far from chance with a part missing.

    Args:
        side: as in `single_deletion`.
        impute: what stands where a part is removed.
        units: as in `single_deletion`.
        epochs: passes over `train`; parts are drawn anew in each.
        rate: learning rate of AdamW at the start, falling to zero along a cosine.
        batch: inputs a step.
        seed: draws the parts, the order of the batches and dropout.

    Raises:
        ValueError: `epochs < 1`, or an unknown imputer.
        FloatingPointError: the loss is no longer finite.

    Source: Hesse, Schaub-Meyer & Roth 2024, arXiv:2407.11910.
    """
    require(epochs >= 1, "fine_tune: epochs must be at least 1", epochs, "epochs=5")
    tuned = copy_module(model)
    optimizer = AdamW(tuned.parameters(), lr=rate)
    rng = make_generator("training with holes", seed)
    axes = find_axes(units, train.x, train.x, model)
    for done in range(epochs):
        part = Part(remove_random_parts(train.x, axes, side, impute, rng), train.y)

        def schedule(progress: float, end: int = done + 1) -> float:
            # Progress counts up to the end of this epoch alone, the cosine goes on to the last one.
            return cosine(progress * end / epochs)

        # One epoch a call, as each has inputs of its own: it goes on where the one before has ended.
        one_epoch = train_epochs(
            tuned,
            part,
            valid,
            epochs=done + 1,
            start=done,
            optimizer=optimizer,
            batch=batch,
            schedule=schedule,
            seed=seed,
        )
        for _ in one_epoch:
            pass
    return tuned


def remove_random_parts(x: Batch, axes: Axes, side: int | None, impute: Impute, rng: torch.Generator) -> Batch:
    """Return the inputs, with one random part removed from each with probability one half."""
    part_of_unit = part_numbers(x, axes, side).cpu()
    parts = int(part_of_unit.max()) + 1
    removed_part = torch.randint(parts, (len(x), 1), generator=rng)
    removed_part[torch.rand(len(x), generator=rng, dtype=torch.float32) < 0.5] = -1
    removed = (part_of_unit == removed_part)[None].to(x)
    fill = make_fill(impute, x, axes)
    return fill(slice(None), broadcast_units(removed, x, axes))[0]
