"""Explanations of inputs that were changed a little, made in batches of moderate size."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.chunking import chunk_size, plan_passes
from xnb.access.draws import make_generator
from xnb.access.rows import select_rows
from xnb.access.score import Change
from xnb.check import is_finite, require
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Target

Method = Callable[[Model, Batch, Target], Attribution]
# Chunks of a method that are explained in one call: what a call costs beside its passes is spread over them.
_CHUNKS_PER_CALL = 4


class _ExplainedBlock(NamedTuple):
    """Changed inputs and their attributions.

    Attributes:
        draws: which of the changes, n of them.
        rows: which inputs of the batch, b of them.
        inputs: what was explained.
        attributions: of `inputs`.
    """

    draws: slice
    rows: slice
    inputs: Float[Tensor, "n b *shape"]
    attributions: Float[Tensor, "n b *#shape"]


def explain_changes(
    method: Method, model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Iterator[_ExplainedBlock]:
    """Explain every input under each of `changes` changes, and yield block after block.

    Raises:
        ValueError: the method does not return one finite attribution an input.
    """
    together = chunk_size(x, chunk) * (1 if chunk else _CHUNKS_PER_CALL)
    plan = plan_passes(x, changes, together)
    for draws, rows in show_progress(plan, len(plan), "block"):
        inputs = change(draws, rows)
        n, b = inputs.shape[:2]
        # The method runs on other inputs than the batch, so that masks and baselines must follow.
        with select_rows(rows, len(x), n):
            attributions = method(model, inputs.flatten(0, 1), target[rows].repeat(n)).detach()
        rule = "metrics: a method must explain each of its inputs"
        require(len(attributions) == n * b, rule, attributions, "method(model, x, target)")
        rule = "metrics: a method must give finite maps, also of changed inputs"
        hint = "method = xnb.METHODS['feature_ablation']; attribution = method(model, x, target)"
        require(is_finite(attributions), rule, "NaN or infinity", hint)
        yield _ExplainedBlock(draws, rows, inputs, attributions.unflatten(0, (n, b)))


def shared_noise(x: Batch, samples: int, seed: int, *, uniform: bool = False) -> Tensor:
    """Noise `(samples, 1, *shape)`, the same for every input: no result depends on an input's neighbours.

    Args:
        uniform: in [-1, 1) instead of normal with deviation 1.
    """
    rng = make_generator("neighbours", seed, x.device)
    draw = torch.rand if uniform else torch.randn
    noise = draw(samples, 1, *x.shape[1:], generator=rng, dtype=x.dtype, device=x.device)
    return 2 * noise - 1 if uniform else noise
