"""Explanations of inputs that were changed a little, made in batches of moderate size."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from xnb.access.score import Change, blocks, chunk_size
from xnb.check import require
from xnb.progress import watched
from xnb.types import Attribution, Batch, Model, Target

Method = Callable[[Model, Batch, Target], Attribution]
# Chunks of a method that are asked for in one call: what a call costs beside its passes is spread over them.
CALLS = 4


def nearby(
    method: Method, model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Explain every input under each of `changes` changes.

    Yields (which changes, which inputs, changed inputs `(n, b, *shape)`, their explanations `(n, b, *#shape)`).
    """
    plan = blocks(x, changes, chunk or CALLS * chunk_size(x, None))
    for some, part in watched(plan, len(plan), "block"):
        inputs = change(some, part)
        n, b = inputs.shape[:2]
        found = method(model, inputs.flatten(0, 1), target[part].repeat(n)).detach()
        require(
            len(found) == n * b, "metrics: a method must explain each of its inputs", found, "method(model, x, target)"
        )
        yield some, part, inputs, found.unflatten(0, (n, b))


def noise(x: Batch, samples: int, seed: int, *, uniform: bool = False) -> Tensor:
    """Noise `(samples, 1, *shape)`, the same for every input: no result depends on an input's neighbours."""
    rng = torch.Generator(x.device).manual_seed(seed)
    draw = torch.rand if uniform else torch.randn
    found = draw(samples, 1, *x.shape[1:], generator=rng, dtype=x.dtype, device=x.device)
    return 2 * found - 1 if uniform else found
