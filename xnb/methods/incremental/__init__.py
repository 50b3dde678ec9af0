"""Exact incremental occlusion: what no window can reach is computed once.

The model is called with a tensor that looks like a batch of occluded pictures. It holds the activations of the
untouched picture, and for each window a crop of what differs from it. Convolutions, poolings, batch norm,
activations and joins work on the crops alone, which grow with the receptive field (Nakandala et al. 2019,
doi:10.1145/3299869.3319874, call it incremental inference). Any other operation is given the plain tensor: the
scores are those of full passes for every model, and time is saved where the model is convolutional.
"""

from contextlib import suppress
from math import isqrt
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.methods.incremental.crops import Crops, Tape
from xnb.methods.incremental.geometry import Span, groups
from xnb.methods.incremental.tensor import Occluded
from xnb.access.ledger import counting
from xnb.progress import watched
from xnb.access.score import CHUNK_LEAST, changed_scores, logits_of, pick, ready
from xnb.types import Model, Target

# Bytes that the widest activation of the windows run together may have: some such tensors live at a time. Small
# crops want to be many, or the calls cost more than the work; from 64 windows on nothing is gained.
WIDEST = 4 * 2**20
WIDEST_ACCELERATOR = 64 * 2**20
# Crops that hold more than this share of all values are no faster than full passes: measured on residual and plain
# networks of 0.03 to 12 million weights, on MobileNet and on a transformer.
WORTHWHILE = 0.6


class Windows(NamedTuple):
    """Squares of `size` pixels, one for each pair of a first row and a first column."""

    tops: list[int]
    lefts: list[int]
    size: int

    def chosen(self, rows: list[int], columns: list[int]) -> "Windows":
        return Windows([self.tops[i] for i in rows], [self.lefts[i] for i in columns], self.size)


def occluded_scores(
    model: Model,
    x: Float[Tensor, "B C H W"],
    target: Target,
    windows: Windows,
    baseline: Tensor,
    *,
    chunk: int | None = None,
) -> Float[Tensor, "R L B"]:
    """Score of every input with `baseline`, broadcast to it, painted over each window, without a graph.

    Args:
        chunk: occluded inputs run together; the result does not depend on it.
    """
    ready(model, x, target)
    x, paint = x.detach(), torch.broadcast_to(baseline, x.shape)
    if 2 * windows.size < min(x.shape[2:]):  # a larger window reaches everything at once
        with torch.no_grad(), suppress(RuntimeError):  # the model may want memory that is not there: `.numpy()`
            tape = tried(model, x[:1], windows, paint[:1])
            if tape.held <= WORTHWHILE * (tape.held + tape.spared):
                return incremental_scores(model, x, target, windows, paint, chunk, tape)
    return full_scores(model, x, target, windows, paint, chunk)


def full_scores(
    model: Model, x: Tensor, target: Target, windows: Windows, paint: Tensor, chunk: int | None
) -> Float[Tensor, "R L B"]:
    """The same by passes through the whole model."""
    tops, lefts, size = windows
    rows, columns = (
        covered(starts, size, n).to(x.device) for starts, n in zip((tops, lefts), x.shape[2:], strict=True)
    )

    def change(some: slice, part: slice) -> Tensor:
        number = torch.arange(some.start, some.stop, device=x.device)
        inside = rows[number // len(lefts)][:, :, None] & columns[number % len(lefts)][:, None, :]
        return torch.where(inside[:, None, None], paint[part], x[part])

    scores = changed_scores(model, x, target, change, len(tops) * len(lefts), chunk=chunk)
    return scores.view(len(tops), len(lefts), len(x))


def covered(starts: list[int], size: int, length: int) -> Tensor:
    """For each window the pixels that it covers along one axis."""
    behind = torch.arange(length) - torch.tensor(starts)[:, None]
    return (behind >= 0) & (behind < size)


def tried(model: Model, x: Tensor, windows: Windows, paint: Tensor) -> Tape:
    """A pass of one picture with the window in the middle: shows how large the crops become."""
    tape, middle = Tape(), windows.chosen([len(windows.tops) // 2], [len(windows.lefts) // 2])
    with counting():  # not for the ledger: this is how the untouched picture is run
        logits_of(model, occluded(tape, x, middle, paint))
    return tape


def incremental_scores(
    model: Model, x: Tensor, target: Target, windows: Windows, paint: Tensor, chunk: int | None, tape: Tape
) -> Float[Tensor, "R L B"]:
    """The same by way of crops."""
    tops, lefts, size = windows
    limit = WIDEST if x.device.type == "cpu" else WIDEST_ACCELERATOR
    together = chunk or max(CHUNK_LEAST, limit // tape.widest)
    wide = min(len(lefts), isqrt(together))
    rows, columns = groups(tops, x.shape[2] - size, together // wide), groups(lefts, x.shape[3] - size, wide)
    pictures = max(1, together // (len(tops) * len(lefts)))
    plan = [(slice(b, b + pictures), r, c) for b in range(0, len(x), pictures) for r in rows for c in columns]
    out = x.new_empty(len(tops), len(lefts), len(x))
    for part, r, c in watched(plan, len(plan), "pass"):
        logits = logits_of(model, occluded(tape, x[part], windows.chosen(r, c), paint[part]))
        scores = pick(logits, target[part].repeat_interleave(len(r) * len(c)))
        out[torch.tensor(r)[:, None], torch.tensor(c), part] = scores.view(-1, len(r), len(c)).permute(1, 2, 0)
    return out


def occluded(tape: Tape, x: Tensor, windows: Windows, paint: Tensor) -> Occluded:
    """Every picture under every window, for a new pass through the model."""
    tops, lefts, size = windows
    views = paint.unfold(2, size, 1).unfold(3, size, 1)[:, :, torch.tensor(tops)[:, None], torch.tensor(lefts)]
    patch = views.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    crops = Crops(tape, x, patch, Span(tuple(tops), size), Span(tuple(lefts), size))
    tape.rewind()
    return Occluded(crops)
