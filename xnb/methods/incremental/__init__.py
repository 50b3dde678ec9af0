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
from xnb.access.score import chunk_logits, target_logit, check_explainable
from xnb.methods.incremental.crops import Crops, Tape
from xnb.methods.incremental.geometry import Span, Windows, group_windows
from xnb.methods.incremental.tensor import Occluded
from xnb.progress import show_progress
from xnb.types import Model, Target

# This limits the widest activation of the windows that run together, in bytes; `access.score` limits inputs that run
# together, `methods.cam` what enters the rest of a model behind a layer. Some such tensors live at a time. Small
# crops want to be many, or the calls cost more than the work; from 64 windows on nothing is gained.
WIDEST = 4 * 2**20
WIDEST_ACCELERATOR = 64 * 2**20
# Crops that hold more than this share of all values are no faster than full passes: measured on residual and plain
# networks of 0.03 to 12 million weights, on MobileNet and on a transformer.
WORTHWHILE = 0.6


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
    if 2 * windows.size >= min(x.shape[2:]):  # it reaches everything at once
        return None
    with torch.no_grad(), suppress(RuntimeError):  # the model may want memory that is not there: `.numpy()`
        tape = measure_crops(model, x[:1], windows, paint[:1])
        if tape.held <= WORTHWHILE * (tape.held + tape.spared):
            return run_crops(model, x, target, windows, paint, chunk, tape)
    return None


def measure_crops(model: Model, x: Tensor, windows: Windows, paint: Tensor) -> Tape:
    """Run one picture with the window in the middle: the tape says how large the crops become."""
    tape = Tape()
    row = len(windows.tops) // 2
    column = len(windows.lefts) // 2
    middle = windows.select([row], [column])
    with count_passes():  # counted apart and forgotten: the bill is that of full passes
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
    scores = x.new_empty(len(windows.tops), len(windows.lefts), len(x))
    plan = _plan_grids(x, windows, chunk, tape)
    for inputs, rows, columns in show_progress(plan, len(plan), "pass"):
        occluded = _occlude(tape, x[inputs], windows.select(rows, columns), paint[inputs])
        logits = chunk_logits(model, occluded)
        targets = target[inputs].repeat_interleave(len(rows) * len(columns))
        of_pass = target_logit(logits, targets).view(-1, len(rows), len(columns))
        # a group holds windows from both borders: its scores are not a block of the result
        row = torch.tensor(rows)[:, None]
        column = torch.tensor(columns)
        scores[row, column, inputs] = of_pass.permute(1, 2, 0)
    return scores


def _plan_grids(
    x: Tensor,
    windows: Windows,
    chunk: int | None,
    tape: Tape,
) -> list[tuple[slice, list[int], list[int]]]:
    """Inputs, rows of windows and columns of windows that are run together."""
    tops, lefts, side = windows
    limit = WIDEST if x.device.type == "cpu" else WIDEST_ACCELERATOR
    size = chunk or max(CHUNK_LEAST, limit // tape.widest)
    # The windows of a pass are a grid, as square as it can be. Their crops share one size, that of the largest, so
    # windows that are as far from the border go together.
    across = min(len(lefts), isqrt(size))
    row_groups = group_windows(tops, x.shape[2] - side, size // across)
    column_groups = group_windows(lefts, x.shape[3] - side, across)
    count = len(tops) * len(lefts)
    together = max(1, size // count)
    batches = [slice(start, start + together) for start in range(0, len(x), together)]
    return [(inputs, rows, columns) for inputs in batches for rows in row_groups for columns in column_groups]


def _occlude(tape: Tape, x: Tensor, windows: Windows, paint: Tensor) -> Occluded:
    """Every picture under every window, for a new pass through the model."""
    tops, lefts, size = windows
    squares = paint.unfold(2, size, 1).unfold(3, size, 1)  # a view: one square for each pixel that can be its first
    top = torch.tensor(tops)[:, None]
    left = torch.tensor(lefts)
    painted = squares[:, :, top, left]
    patch = painted.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    rows = Span(tuple(tops), size)
    columns = Span(tuple(lefts), size)
    crops = Crops(tape, x, patch, rows, columns)
    tape.rewind()  # after it has noted these crops: the picture itself is no activation and does not count as held
    return Occluded(crops)
