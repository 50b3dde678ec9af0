"""Integrated gradients to a stated completeness gap: trapezoids, halved where the score shows that they are wrong.

The forward pass that every gradient needs also gives the score, so each step can be checked by itself: the change of
the score over the step against the change that the gradients at its two ends predict. The two are equal for a ReLU
network without a kink in between.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from xnb.access.chunking import chunks, join_chunks
from xnb.access.ledger import leave_note
from xnb.access.rows import select_rows
from xnb.access.score import align_to_inputs, gradient_and_score
from xnb.check import require
from xnb.types import Attribution, Batch, Model, Points, Scores, Target

FIRST_STEPS = 8  # steps of every path to begin with


class _Steps(NamedTuple):
    """From each node to the next: length, and what the trapezoid misses of the change of the score.

    Both are 0 where the next node belongs to another input.
    """

    lengths: Tensor
    misses: Tensor


@dataclass
class _Nodes:
    """Points on the paths of a batch: those of one input stand together, in the order of time.

    Attributes:
        rows: which input of the batch.
        times: position on its path, 0 at the baseline and 1 at the input.
        scores: score at the point.
        gradients: gradient of the score at the point.
        along_path: derivative of the score by time, the gradient times the whole difference from the baseline.
    """

    rows: Int[Tensor, " N"]
    times: Float[Tensor, " N"]
    scores: Float[Tensor, " N"]
    gradients: Points
    along_path: Float[Tensor, " N"]

    def merge(self, more: "_Nodes") -> "_Nodes":
        """All nodes of both, ordered by input and, within an input, by time."""
        rows = torch.cat([self.rows, more.rows])
        times = torch.cat([self.times, more.times])
        by_time = torch.argsort(times)
        order = by_time[torch.argsort(rows[by_time], stable=True)]
        scores = torch.cat([self.scores, more.scores])
        gradients = torch.cat([self.gradients, more.gradients])
        along_path = torch.cat([self.along_path, more.along_path])
        return _Nodes(rows[order], times[order], scores[order], gradients[order], along_path[order])

    def steps(self) -> _Steps:
        """The steps between neighbouring nodes."""
        same_input = self.rows[1:] == self.rows[:-1]
        lengths = self.times.diff() * same_input
        changes = self.scores.diff() * same_input
        both_ends = self.along_path[1:] + self.along_path[:-1]
        misses = changes - lengths * both_ends / 2
        return _Steps(lengths, misses)

    def sum_steps(self, values: Tensor, inputs: int) -> Tensor:
        """The sum, for each of the inputs, of one value a step."""
        return values.new_zeros(inputs).index_add(0, self.rows[:-1], values)


def integrate_adaptively(
    model: Model, x: Batch, target: Target, start: Batch, most: int, tolerance: float, chunk: int | None
) -> Attribution:
    """Integrated gradients whose sum misses the change of score by `tolerance` of it at most, or with `most` nodes."""
    require(tolerance > 0, "integrated_gradients: tolerance must be positive", tolerance, "tolerance=0.01")
    parts = []
    changes = [x.new_empty(0)]
    for rows in chunks(x, chunk):
        with select_rows(rows, len(x)):
            part, change = _integrate_chunk(model, x[rows], target[rows], start[rows], most, tolerance, chunk)
        parts.append(part)
        changes.append(change)
    leave_note(change=torch.cat(changes))  # spares the passes that would tell it
    return join_chunks(parts, x)


def _integrate_chunk(
    model: Model, x: Batch, target: Target, start: Batch, most: int, tolerance: float, chunk: int | None
) -> tuple[Attribution, Scores]:
    """The attributions of some inputs, and the changes of their scores from start to end."""
    difference = x - start

    def visit(rows: Tensor, times: Tensor) -> _Nodes:
        points = start[rows] + align_to_inputs(times, x) * difference[rows]
        with select_rows(rows, len(x)):
            gradients, scores = gradient_and_score(model, points, target[rows], chunk=chunk)
        along_path = (gradients * difference[rows]).flatten(1).sum(1)
        return _Nodes(rows, times, scores, gradients, along_path)

    inputs = torch.arange(len(x), device=x.device)
    times = torch.linspace(0, 1, FIRST_STEPS + 1, dtype=x.dtype, device=x.device)
    nodes = visit(inputs.repeat_interleave(FIRST_STEPS + 1), times.repeat(len(x)))
    while (halved := _choose_steps(nodes, len(x), most, tolerance)).any():
        middles = (nodes.times[1:] + nodes.times[:-1]) / 2
        nodes = nodes.merge(visit(nodes.rows[:-1][halved], middles[halved]))
    # Trapezoids: a node has half the weight of the step before it and half that of the step behind it.
    lengths = nodes.steps().lengths
    step_before = F.pad(lengths, (1, 0))
    step_behind = F.pad(lengths, (0, 1))
    weights = (step_before + step_behind) / 2
    weighted = align_to_inputs(weights, x) * nodes.gradients
    change = nodes.scores[nodes.times == 1] - nodes.scores[nodes.times == 0]
    return difference * torch.zeros_like(x).index_add(0, nodes.rows, weighted), change


def _choose_steps(nodes: _Nodes, inputs: int, most: int, tolerance: float) -> Tensor:
    """Which steps to halve: in each input that is not yet exact enough, those that miss at least its average."""
    lengths, misses = nodes.steps()
    within = lengths > 0  # and not from one input to the next
    change = nodes.sum_steps(nodes.scores.diff() * within, inputs)
    visited = torch.bincount(nodes.rows, minlength=inputs)
    gap = nodes.sum_steps(misses, inputs).abs()
    # Large misses that cancel leave a small gap, so the root of their sum of squares must be small as well.
    size_of_misses = nodes.sum_steps(misses.square(), inputs).sqrt()
    inexact = torch.maximum(gap, size_of_misses) > tolerance * change.abs()
    unfinished = inexact & (visited < most)
    average = nodes.sum_steps(misses.abs(), inputs) / (visited - 1)
    rows = nodes.rows[:-1]
    large = misses.abs() >= average[rows]
    return unfinished[rows] & large & within
