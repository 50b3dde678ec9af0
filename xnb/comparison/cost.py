"""What a comparison costs, told before it runs: one image is tried by every method and metric, in a few passes."""

from collections.abc import Mapping, Sequence
from math import inf
from time import perf_counter

from xnb.access.ledger import Passes, count_passes
from xnb.access.score import logits
from xnb.access.trials import run_first_changes
from xnb.comparison.blocks import Block, iterate_cells
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
    start = block.rows.start
    first = plan.read_block(block.model, slice(start, start + 1))
    if first.part is None:  # it could not be read, and nothing can be tried with it
        return
    began = perf_counter()
    with hide_progress():
        logits(plan.functions.models[block.model], first.part.x)
    cells = sum(len(names) for names in metrics.values())
    # every cell runs the model at least once
    if not is_quick((perf_counter() - began) * cells * len(plan.images)):
        passes = _try_image(plan, first, metrics)
        with name_call("compare"):
            announce_passes(passes.forward + passes.backward, len(plan.images), "images=8")


def _try_image(plan: Plan, first: Block, metrics: Mapping[str, Sequence[str]]) -> Passes:
    """Count the passes that one image takes, from a trial whose values are thrown away.

    Args:
        first: a block of that image alone.
    """
    with hide_progress(), run_first_changes(1), count_passes() as passes:
        for cell in iterate_cells(plan.functions, first, metrics):
            cell.measure()
    return passes
