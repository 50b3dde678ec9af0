"""What a comparison costs, told before it runs: one image is tried by every method and metric, in a few passes."""

from collections.abc import Mapping, Sequence
from math import inf
from time import perf_counter

import torch

from xnb.access.ledger import Passes, count_passes
from xnb.access.memo import remember_answers
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.access.trials import run_first_changes
from xnb.comparison.cells import Explainer, measure_pieces
from xnb.comparison.plan import ImageBlock, Plan
from xnb.progress import announce_passes, hide_progress, is_quick, name_call


def announce_cost(plan: Plan, block: ImageBlock, metrics: Mapping[str, Sequence[str]]) -> None:
    """Say how many passes each image will take, where that is much and the model is not so small that it is quick.

    Args:
        block: whose first image is tried.
        metrics: by method, those that it is to be measured by.
    """
    if is_quick(inf):  # nothing is to be shown
        return
    model = plan.models[block.model]
    part = plan.part[block.rows.start : block.rows.start + 1]
    start = perf_counter()
    with hide_progress():
        logits(model, part.x)
    cells = sum(len(names) for names in metrics.values())
    # every cell runs the model at least once
    if not is_quick((perf_counter() - start) * cells * len(plan.images)):
        passes = _try_image(plan, block, metrics)
        with name_call("compare"):
            announce_passes(passes.forward + passes.backward, len(plan.images), "images=8")


def _try_image(plan: Plan, block: ImageBlock, metrics: Mapping[str, Sequence[str]]) -> Passes:
    """Count the passes that one image takes, from a trial whose values are thrown away."""
    first = block.rows.start
    model, part = plan.models[block.model], plan.part[first : first + 1]
    # What belongs to an image, such as its mask, follows its number in the batch.
    selected = select_rows(torch.tensor(plan.images[first : first + 1]), plan.size)
    with hide_progress(), selected, remember_answers(), run_first_changes(1), count_passes() as passes:
        target = predict_class(logits(model, part.x)) if plan.target is None else plan.target[first : first + 1]
        explainer = Explainer(model, part, target)
        for label, names in metrics.items():
            method = plan.methods[label]
            pieces = explainer.explain(method)
            for name in names:
                measure_pieces(plan.metrics[name], model, pieces, method)
    return passes
