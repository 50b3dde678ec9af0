"""Exact incremental occlusion: what no window can reach is computed once.

The model is called with a tensor that looks like a batch of occluded pictures. It holds the activations of the
untouched picture, and for each window a crop of what differs from it. Convolutions, poolings, batch norm,
activations and joins work on the crops alone, which grow with the receptive field (Nakandala et al. 2019,
doi:10.1145/3299869.3319874, call it incremental inference). Any other operation is given the plain tensor: the
scores are those of full passes for every model, and time is saved where the model is convolutional.

Read `occlusion.score_by_full_passes` first: it is the same function, written plainly. Then `geometry`, how far a
layer carries a change; `crops`, how activations are held; `sliding` and `tensor`, how operations work on them.
"""

from contextlib import suppress
from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.ledger import count_passes
from xnb.access.chunking import CHUNK_LEAST
from xnb.access.model_call import chunk_logits, check_explainable
from xnb.access.rows import select_rows
from xnb.access.targets import target_logit
from xnb.access.trials import is_trial
from xnb.methods.incremental.crops import Crops, Tape
from xnb.methods.incremental.geometry import Span, Windows, group_windows
from xnb.methods.incremental.tensor import Occluded
from xnb.progress import show_progress
from xnb.types import Model, Target

# Windows run together as long as the widest activation of their crops stays below this; `access.chunking` limits
# inputs that run together, `methods.cam` what enters the rest of a model behind a layer. Some such tensors live at a
# time. Where crops are small, many must run together, or the calls cost more than the work; more than 64 windows gain
# nothing.
_WIDEST_BYTES = 4 * 2**20
_WIDEST_BYTES_ACCELERATOR = 64 * 2**20
# Crops that hold more than this share of the activations' values are no faster than full passes: measured on
# residual and plain networks of 0.03 to 12 million weights, on MobileNet and on a transformer.
_WORTHWHILE_SHARE = 0.6


def score_by_crops(
    model: Model,
    x: Float[Tensor, "B C H W"],
    target: Target,
    windows: Windows,
    paint: Float[Tensor, "B C H W"],
    chunk: int | None = None,
) -> Float[Tensor, "R L B"] | None:
    """Score of every input with each window painted over, from what the windows reach, without a graph.

    None where full passes are as fast, or where the model asks for memory, as `.numpy()` does, that crops do not have.

    Args:
        paint: what stands inside of a window.
        chunk: occluded inputs run together; the result does not depend on it.
    """
    check_explainable(model, x, target)
    x = x.detach()
    if is_trial():  # a trial runs a few of many full passes; crops are not such passes
        return None
    sides = zip(windows.sizes, x.shape[2:], strict=True)
    if any(2 * size >= side for size, side in sides):  # such a window soon reaches the whole picture
        return None
    # The model may want memory that is not there, as `.numpy()` does, or more inputs than the one on trial. Whatever
    # else is wrong with it shows in full passes.
    with torch.no_grad(), suppress(Exception):
        with select_rows(slice(1), len(x)):
            tape = measure_crops(model, x[:1], windows, paint[:1])
        # Values that the crops compute (held) among all that a full pass computes (held + spared).
        if tape.held <= _WORTHWHILE_SHARE * (tape.held + tape.spared):
            return run_crops(model, x, target, windows, paint, chunk, tape)
    return None


def measure_crops(model: Model, x: Tensor, windows: Windows, paint: Tensor) -> Tape:
    """Run one picture with the window in the middle: the tape says how large the crops become."""
    tape = Tape()
    rows, columns = windows.counts
    middle = windows.select([rows // 2], [columns // 2])
    with count_passes():  # a count that no one reads: this trial is not to appear in the cost of the method
        chunk_logits(model, _occlude(tape, x, middle, paint))
    return tape


def run_crops(
    model: Model,
    x: Tensor,
    target: Target,
    windows: Windows,
    paint: Tensor,
    chunk: int | None,
    tape: Tape,
) -> Float[Tensor, "R L B"]:
    """Score of every input with each window painted over, by way of crops, in passes that fit the budget."""
    scores = x.new_empty(*windows.counts, len(x))
    plan = _plan_grids(x, windows, chunk, tape)
    for inputs, rows, columns in show_progress(plan, len(plan), "pass"):
        count = len(rows) * len(columns)
        with select_rows(inputs, len(x), count):
            occluded = _occlude(tape, x[inputs], windows.select(rows, columns), paint[inputs])
            logits = chunk_logits(model, occluded)
        pass_scores = target_logit(logits, target[inputs].repeat(count)).view(len(rows), len(columns), -1)
        # a group holds windows from both borders: its scores are not a block of the result
        row = torch.tensor(rows)[:, None]
        column = torch.tensor(columns)
        scores[row, column, inputs] = pass_scores
    return scores


def _plan_grids(
    x: Tensor,
    windows: Windows,
    chunk: int | None,
    tape: Tape,
) -> list[tuple[slice, list[int], list[int]]]:
    """Plan the passes: for each a slice of the inputs, and positions among the rows and the columns of windows."""
    tops, lefts = windows.starts
    height, width = windows.sizes
    limit = _WIDEST_BYTES if x.device.type == "cpu" else _WIDEST_BYTES_ACCELERATOR
    pictures = chunk or max(CHUNK_LEAST, limit // tape.widest)  # occluded ones in a pass
    # The windows of a pass are a grid, as square as it can be. Their crops share one size, that of the largest, so
    # windows that are equally far from the border go together.
    grid_columns = min(len(lefts), isqrt(pictures))
    grid_rows = pictures // grid_columns
    row_groups = group_windows(tops, x.shape[2] - height, grid_rows)
    column_groups = group_windows(lefts, x.shape[3] - width, grid_columns)
    count = len(tops) * len(lefts)
    batch_size = max(1, pictures // count)  # several inputs only where all windows of each fit into one pass
    batches = [slice(start, start + batch_size) for start in range(0, len(x), batch_size)]
    return [(inputs, rows, columns) for inputs in batches for rows in row_groups for columns in column_groups]


def _occlude(tape: Tape, x: Tensor, windows: Windows, paint: Tensor) -> Occluded:
    """Paint every window over every picture: the input of a new pass, `R L B` pictures for R tops and L lefts."""
    tops, lefts = windows.starts
    height, width = windows.sizes
    # A view (B, C, y, x, height, width): the block of paint that begins at each pixel (y, x).
    blocks = paint.unfold(2, height, 1).unfold(3, width, 1)
    top = torch.tensor(tops)[:, None]
    left = torch.tensor(lefts)
    painted = blocks[:, :, top, left]  # (B, C, R, L, height, width)
    patch = painted.permute(2, 3, 0, 1, 4, 5).flatten(0, 2)
    rows = Span(tuple(tops), height)
    columns = Span(tuple(lefts), width)
    crops = Crops(tape, x, patch, rows, columns)
    # The new pass starts here, at the tape's first operation. Its sums start at zero only now, because `Crops` has
    # just added the size of the input, which is no activation.
    tape.rewind()
    return Occluded(crops)
