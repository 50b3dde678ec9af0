"""Integrated gradients to a stated completeness gap: trapezoids, halved where the score says they are wrong.

The forward pass that every slope needs also gives the score, so each step carries its own check: what the score
gained over it, against what the slopes at its two ends promise. Without a kink in between, a ReLU network keeps it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from xnb.access.score import chunks, per_input, slopes_and_scores, together
from xnb.check import require
from xnb.types import Attribution, Batch, Model, Points, Target

FIRST = 8  # steps to begin with


@dataclass
class Nodes:
    """Points on the paths of a batch, those of one input together and in the order of time."""

    rows: Int[Tensor, " N"]  # which input
    times: Float[Tensor, " N"]  # where on its path, 0 at the baseline
    scores: Float[Tensor, " N"]
    along: Float[Tensor, " N"]  # slope of the score along the path
    slopes: Points

    def joined(self, more: "Nodes") -> "Nodes":
        both = [torch.cat(pair) for pair in zip(vars(self).values(), vars(more).values(), strict=True)]
        order = torch.argsort(both[1])
        order = order[torch.argsort(both[0][order], stable=True)]
        return Nodes(*(values[order] for values in both))

    def steps(self) -> tuple[Tensor, Tensor]:
        """Length of each step and what its trapezoid misses of the score's change; 0 between two inputs."""
        inside = self.rows[1:] == self.rows[:-1]
        length = self.times.diff() * inside
        missed = self.scores.diff() * inside - length * (self.along[1:] + self.along[:-1]) / 2
        return length, missed

    def of_input(self, per_step: Tensor, inputs: int) -> Tensor:
        return per_step.new_zeros(inputs).index_add(0, self.rows[:-1], per_step)


def refined(
    model: Model, x: Batch, target: Target, start: Batch, most: int, tolerance: float, chunk: int | None
) -> Attribution:
    """Integrated gradients whose sum misses the change of score by `tolerance` of it, or with `most` nodes."""
    require(tolerance > 0, "integrated_gradients: tolerance must be positive", tolerance, "tolerance=0.01")
    parts = []
    for part in chunks(x, chunk):
        parts.append(_refined_chunk(model, x[part], target[part], start[part], most, tolerance, chunk))
    return together(parts, x)


def _refined_chunk(
    model: Model, x: Batch, target: Target, start: Batch, most: int, tolerance: float, chunk: int | None
) -> Attribution:
    way = x - start

    def visit(rows: Tensor, times: Tensor) -> Nodes:
        points = start[rows] + per_input(times, x) * way[rows]
        slopes, scores = slopes_and_scores(model, points, target[rows], chunk=chunk)
        return Nodes(rows, times, scores, (slopes * way[rows]).flatten(1).sum(1), slopes)

    inputs = torch.arange(len(x), device=x.device)
    nodes = visit(inputs.repeat_interleave(FIRST + 1), torch.linspace(0, 1, FIRST + 1).to(x).repeat(len(x)))
    while bool((halve := wanting(nodes, len(x), most, tolerance)).any()):
        middle = (nodes.times[1:] + nodes.times[:-1]) / 2
        nodes = nodes.joined(visit(nodes.rows[:-1][halve], middle[halve]))
    length, _ = nodes.steps()
    weights = (F.pad(length, (1, 0)) + F.pad(length, (0, 1))) / 2
    return way * torch.zeros_like(x).index_add(0, nodes.rows, per_input(weights, x) * nodes.slopes)


def wanting(nodes: Nodes, inputs: int, most: int, tolerance: float) -> Tensor:
    """Which steps to halve: of every input that is not yet good enough, those that miss more than its average."""
    length, missed = nodes.steps()
    change = nodes.of_input(nodes.scores.diff() * (length > 0), inputs)
    visited = torch.bincount(nodes.rows, minlength=inputs)
    gap = nodes.of_input(missed, inputs).abs()
    spread = nodes.of_input(missed.square(), inputs).sqrt()  # a small gap of large misses that cancel is not enough
    unfinished = (torch.maximum(gap, spread) > tolerance * change.abs()) & (visited < most)
    average = nodes.of_input(missed.abs(), inputs) / (visited - 1)
    return unfinished[nodes.rows[:-1]] & (missed.abs() >= average[nodes.rows[:-1]]) & (length > 0)
