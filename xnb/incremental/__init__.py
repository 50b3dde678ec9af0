"""Exact incremental occlusion: computing again only what the window can reach (Krypton, SIGMOD 2019)."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.incremental import rules  # noqa: F401  (fills the table of rules)
from xnb.incremental.crops import Crops, Tape
from xnb.incremental.geometry import Span
from xnb.incremental.tensor import Occluded
from xnb.progress import watched
from xnb.score import changed_scores, logits_of, pick, ready
from xnb.types import Batch, Model, Target

TOGETHER = 16


def occluded_scores(
    model: Model,
    x: Batch,
    target: Target,
    tops: list[int],
    lefts: list[int],
    window: int,
    baseline: Tensor,
    *,
    chunk: int | None = None,
) -> Float[Tensor, "R L B"]:
    """Score of every input with each window painted over: window rows at `tops`, columns at `lefts`."""
    ready(model, x, target)
    together = chunk or TOGETHER
    out = x.new_empty(len(tops), len(lefts), len(x))
    painted = torch.broadcast_to(baseline, x.shape)
    plan = list(tiles(tops, lefts, *x.shape[2:], window, together))
    pictures = max(1, together // (len(tops) * len(lefts)))
    with torch.no_grad():
        for start in range(0, len(x), pictures):
            part = slice(start, start + pictures)
            tape = Tape()
            for r, c in plan:
                tape.place = 0
                z = occluded(tape, x[part], painted[part], [tops[i] for i in r], [lefts[i] for i in c], window)
                n = len(z) // len(x[part])
                scores = pick(logits_of(model, z), target[part].repeat_interleave(n))
                out[torch.tensor(r)[:, None], torch.tensor(c), part] = scores.view(-1, len(r), len(c)).permute(1, 2, 0)
    return out


def occluded(tape, x, painted, tops, lefts, window):
    rows, columns = Span(tuple(tops), window), Span(tuple(lefts), window)
    patch = torch.stack([painted[:, :, t : t + window, l : l + window] for t in tops for l in lefts], 1)
    return Occluded(Crops(tape, x, patch.flatten(0, 1), rows, columns))


def tiles(tops, lefts, H, W, window, together):
    side = max(1, round(together**0.5))
    rows = groups(tops, H - window, side)
    columns = groups(lefts, W - window, max(1, together // len(rows[0])))
    return [(r, c) for r in rows for c in columns]


def groups(starts, last, size):
    order = sorted(range(len(starts)), key=lambda i: min(starts[i], last - starts[i]))
    count = -(-len(order) // size)
    size = -(-len(order) // count)
    return [order[i : i + size] for i in range(0, len(order), size)]
