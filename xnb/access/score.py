"""The one number per input that every method explains, and its gradient; the only place that runs the model.

Rows are inputs of a batch, draws are the changes that a method makes to each of them (masks, noise, steps of a
path). Both go through the model in chunks, so that the activations of a chunk stay in cache.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.chunking import chunks, gradient_chunks, join_chunks, plan_passes
from xnb.access.fast_forward import is_looked_into
from xnb.access.ledger import add_passes
from xnb.access.memo import answer_once, leave_answer
from xnb.access.model_call import ExplainedFailure, check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.access.targets import score_weights, target_logit
from xnb.access.trials import count_run_changes
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import require
from xnb.progress import add_planned_passes, show_progress
from xnb.types import Batch, Logits, Model, Scores, Target

Change = Callable[[slice, slice], Tensor]  # (draws, rows) -> those inputs changed (n, b, *shape)


def logits(model: Model, x: Batch, *, chunk: int | None = None) -> Logits:
    """Logits of all inputs, without a graph.

    Raises:
        ValueError: `model` is in training mode, or its output is not `(B, K)`.
    """
    check_explainable(model, x)
    results = []
    with torch.no_grad():
        for rows in chunks(x, chunk, large=True):
            # Copies: a first module may write into its input, a model may return memory that its next call overwrites.
            with select_rows(rows, len(x)):
                results.append(chunk_logits(model, x[rows].clone()).clone())
        if not results:  # of no inputs, an empty batch still tells how many classes there are
            results.append(chunk_logits(model, x.clone()))
    return torch.cat(results)


def score(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Scores:
    """Logit of each input's target class, without a graph.

    Raises:
        ValueError: `model` is in training mode, its output is not `(B, K)`, or `target` is not
            one class index in `[0, K)` per input.
    """
    check_explainable(model, x, target)

    def compute() -> Scores:
        results = []
        with torch.no_grad():
            for rows in chunks(x, chunk, large=True):
                with select_rows(rows, len(x)):
                    results.append(target_logit(chunk_logits(model, x[rows].clone()), target[rows]))
        return torch.cat(results) if results else x.new_empty(0)

    return answer_once(_score_question(model, x, target), compute)


def _score_question(model: Model, x: Batch, target: Target) -> tuple:
    return "score", model, x, target, is_looked_into()


def _gradient_question(model: Model, x: Batch, target: Target) -> tuple:
    return "gradient", model, x, target, is_looked_into()


def leave_gradient(model: Model, x: Batch, target: Target, gradient: Batch, out: Logits) -> None:
    """Leave what `input_gradient` and `score` would return, for later calls within `memo.remember_answers`."""
    leave_answer(_gradient_question(model, x, target), gradient)
    leave_answer(_score_question(model, x, target), target_logit(out, target))


def changed_scores(
    model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Float[Tensor, "N B"]:
    """Score of every input under each of `changes` changes, run in cache-sized passes, without a graph.

    Args:
        change: called with slices `draws` and `rows`, returns those inputs changed, `(n, b, *shape)`.
    """
    check_explainable(model, x, target)
    scores = x.new_empty(changes, len(x))
    run = count_run_changes(changes)
    plan = plan_passes(x, run, chunk, large=True)
    add_planned_passes(run, len(x))
    with torch.no_grad():
        for draws, rows in show_progress(plan, len(plan), "pass"):
            inputs = change(draws, rows)
            n, b = inputs.shape[:2]
            with select_rows(rows, len(x), n):
                out = chunk_logits(model, inputs.flatten(0, 1))
            scores[draws, rows] = target_logit(out, target[rows].repeat(n)).view(n, b)
    if run < changes:  # in a trial
        scores[run:] = scores[:1]
        add_passes(forward=(changes - run) * len(x))
    return scores


def input_gradient(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Batch:
    r"""Gradient of each input's score, :math:`\nabla_x f(x)`; parameters and `.grad` are not touched.

    Raises:
        ValueError: as `score`, or the score does not depend on `x` through differentiable operations.
    """

    def compute() -> Batch:
        passes = _gradient_passes(model, x, target, chunk)
        return join_chunks([result.gradient for _, result in passes], x)

    return answer_once(_gradient_question(model, x, target), compute)


def gradient_and_score(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> tuple[Batch, Scores]:
    """Gradient of each input's score, and the score itself from the same passes."""
    gradients = []
    scores = [x.new_empty(0)]
    for rows, result in _gradient_passes(model, x, target, chunk):
        gradients.append(result.gradient)
        scores.append(target_logit(result.logits, target[rows]))
    return join_chunks(gradients, x), torch.cat(scores)


class GradientPass(NamedTuple):
    """What one chunk gave, forward and backward.

    Attributes:
        gradient: of the score, with respect to the inputs.
        logits: of the inputs.
        at_captured: gradients of the score with respect to what was captured on the way, in its order.
    """

    gradient: Batch
    logits: Logits
    at_captured: list[Tensor]


def _gradient_passes(model: Model, x: Batch, target: Target, chunk: int | None) -> Iterator[tuple[slice, GradientPass]]:
    """Which rows run, and what came of them, chunk by chunk."""
    check_explainable(model, x, target)
    plan = list(gradient_chunks(model, x, chunk))
    for rows in show_progress(plan, len(plan), "pass"):
        with select_rows(rows, len(x)):
            result = chunk_gradient(model, x[rows], target[rows])
        yield rows, result


def changed_gradients(
    model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield `(draws, rows, gradients)` of each pass: gradients of the score at the changed inputs, `(n, b, *shape)`.

    Args:
        change: called with slices `draws` and `rows`, returns those inputs changed, `(n, b, *shape)`.
        changes: how many changes every input goes through.
    """
    check_explainable(model, x, target)
    run = count_run_changes(changes)
    plan = plan_passes(x, run, chunk)
    add_planned_passes(run, len(x))
    first: dict[int, Tensor] = {}
    for draws, rows in show_progress(plan, len(plan), "pass"):
        inputs = change(draws, rows)
        with select_rows(rows, len(x), len(inputs)):
            result = chunk_gradient(model, inputs.flatten(0, 1), target[rows].repeat(len(inputs)))
        gradients = result.gradient.view(inputs.shape)
        first[rows.start] = gradients[:1]
        yield draws, rows, gradients
    for start in range(run, changes, run):  # in a trial the first gradient stands for all that are not run
        draws = slice(start, min(start + run, changes))
        yield from _repeat_gradients(first, draws)


def _repeat_gradients(first: Mapping[int, Tensor], draws: slice) -> Iterator[tuple[slice, slice, Tensor]]:
    """As `changed_gradients` for draws that are not run, from one gradient for each block of rows, by its start."""
    count = draws.stop - draws.start
    for start, gradient in first.items():
        inputs = gradient.shape[1]
        add_passes(forward=count * inputs, backward=count * inputs)
        yield draws, slice(start, start + inputs), gradient.expand(count, *gradient.shape[1:])


def chunk_gradient(
    model: Model, x: Batch, target: Target, captured: Mapping[str, Tensor] = MappingProxyType({})
) -> GradientPass:
    """Gradient of the score and logits of one chunk.

    Args:
        captured: filled in while the model runs, as by `hooks.capture_outputs`; the gradients there are returned too.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        # a copy: an in-place first module must not reach the caller's pixels
        out = chunk_logits(model, leaf.clone())
        weights = score_weights(out, target)
        require(out.requires_grad, "score: no gradient reaches x", "an output without a graph", FORWARD_ONLY)
        wanted = [leaf, *captured.values()]
        with ExplainedFailure(model, x, together=len(x)):
            gradient, *at_captured = torch.autograd.grad(out, wanted, weights, allow_unused=True)
    require(gradient is not None, "score: no gradient reaches x", "an output that does not depend on x", FORWARD_ONLY)
    add_passes(backward=len(x))
    return GradientPass(gradient, out.detach().clone(), at_captured)  # copied as in `logits`


def align_to_inputs(values: Tensor, x: Batch) -> Tensor:
    """`values` with axes of one added at the end, so that they broadcast against `x`."""
    missing = x.ndim - values.ndim
    return values.view(*values.shape, *[1] * missing)
