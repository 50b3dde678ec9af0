"""Other pictures that another class is seen in: made by gradients, or laid in pixel by pixel."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.score import logits
from xnb.check import require
from xnb.types import Attribution, Batch, Model, Target


class Changed(NamedTuple):
    """Inputs that were changed.

    Attributes:
        x: the changed inputs; where no change was found, as they were.
        reached: whether the model answers with the goal.
    """

    x: Batch
    reached: Bool[Tensor, " B"]


def change_pixels(
    model: Model,
    x: Batch,
    goal: Target,
    *,
    steps: int = 300,
    rate: float = 0.02,
    weight: float = 0.05,
    span: tuple[float, float] = (0.0, 1.0),
) -> Changed:
    r"""The smallest change found, by the sum of its sizes, after which the model answers with the goal.

    Minimises :math:`\max(0, \max_{k \ne g} f_k - f_g + \kappa) + w |\delta|_1` by gradient steps, each followed by the
    soft threshold that makes small changes zero (arXiv:1709.04114), and returns the best that reached the goal. It is
    a local search: a smaller change may exist. It misleads as an account of what the picture should have been: such
    changes are mostly adversarial, and another training of the same network does not follow them.

    Args:
        goal: class that is to be answered, one an input.
        rate: length of a step, in units of x.
        weight: w, of the size of the change beside the logits.
        span: lowest and highest value of an input.

    Raises:
        ValueError: x outside the span, no step, or what `attribute` refuses of models.
    """
    check_explainable(model, x, goal)
    low, high = span
    lowest, highest = x.min().item(), x.max().item()
    inside = low <= lowest and highest <= high
    require(inside, "change_pixels: x must lie in the span", (lowest, highest), f"span=({lowest!r}, {highest!r})")
    require(steps >= 1, "change_pixels: steps must be at least 1", steps, "steps=300")
    delta = torch.zeros_like(x)
    best = x.clone()
    smallest = x.new_full((len(x),), torch.inf)
    for _ in range(steps):
        lead, gradient = _lead_and_gradient(model, x + delta, goal)
        size = delta.abs().flatten(1).sum(1)
        # the goal was reached, and by less than before
        better = (lead > 0) & (size < smallest)
        best[better] = (x + delta)[better]
        smallest[better] = size[better]
        delta = _shrink(delta - rate * gradient, rate * weight)
        delta = (x + delta).clamp(low, high) - x
    return Changed(best, smallest.isfinite())


def _lead_and_gradient(model: Model, x: Batch, goal: Target) -> tuple[Float[Tensor, " B"], Batch]:
    """By how much the goal leads, and the gradient of what is minimised, of length one for each input."""
    with torch.enable_grad():
        inputs = x.detach().requires_grad_()
        out = chunk_logits(model, inputs.clone())  # a first module may write into its input
        lead = _lead_of(out, goal)
        loss = (1 - lead).clamp(min=0).sum()  # a lead of one logit is enough
        (gradient,) = torch.autograd.grad(loss, inputs)
    axes = tuple(range(1, x.ndim))
    largest = gradient.abs().amax(axes, keepdim=True)
    smallest = torch.finfo(x.dtype).tiny  # where the gradient is zero it stays so
    return lead.detach(), gradient / largest.clamp(min=smallest)


def _lead_of(out: Float[Tensor, "B K"], goal: Target) -> Float[Tensor, " B"]:
    """Logit of the goal, less the largest of the others."""
    column = goal[:, None]
    own = out.gather(1, column)[:, 0]
    others = out.scatter(1, column, -torch.inf)
    return own - others.amax(1)


def _shrink(delta: Batch, threshold: float) -> Batch:
    """Towards zero by the threshold; what is smaller becomes zero."""
    return delta.sign() * (delta.abs() - threshold).clamp(min=0)


def count_swapped(
    model: Model, x: Batch, other: Batch, goal: Target, attribution: Attribution, *, most: int | None = None
) -> Int[Tensor, " B"]:
    """How many pixels of another picture must be laid in, the highest of the map first, until the goal is answered.

    After Goyal et al. 2019 (arXiv:1904.07451). Fewer is better: the map knows where the difference lies. Only pixels
    in which the two pictures differ count and are laid in; -1 where not even all of them are enough.

    Args:
        other: the picture that pixels are taken from, such as the same one with another object.
        attribution: of x or of the difference; channels are summed.
        most: pixels after which it gives up; all that differ if omitted.

    Raises:
        ValueError: pictures of other shapes.
    """
    fits = x.shape == other.shape
    require(fits, "count_swapped: both pictures must have one shape", tuple(other.shape), "other = torch.zeros_like(x)")
    counts = torch.full((len(x),), -1, device=x.device)
    values = attribution.expand_as(x).sum(1)
    for b in range(len(x)):
        order = _order_differing(x[b], other[b], values[b])[:most]
        steps = _lay_in(x[b], other[b], order)
        answers = logits(model, steps).argmax(1) == goal[b]
        if answers.any():  # the first of them
            counts[b] = answers.int().argmax() + 1
    return counts


def _order_differing(
    x: Float[Tensor, "C H W"], other: Float[Tensor, "C H W"], values: Float[Tensor, "H W"]
) -> Int[Tensor, " N"]:
    """Numbers of the pixels in which two pictures differ, the largest value first."""
    differs = (x != other).any(0).flatten()
    ranked = values.flatten().masked_fill(~differs, -torch.inf)
    return ranked.argsort(descending=True, stable=True)[: int(differs.sum())]


def _lay_in(x: Float[Tensor, "C H W"], other: Float[Tensor, "C H W"], order: Tensor) -> Float[Tensor, "N C H W"]:
    """The picture with one pixel of the other, with two, and so on."""
    pixels = x.shape[1:].numel()
    position = torch.full((pixels,), pixels, device=x.device)
    position[order] = torch.arange(len(order), device=x.device)
    steps = torch.arange(len(order), device=x.device)[:, None]
    taken = position <= steps
    return torch.where(taken.view(-1, 1, *x.shape[1:]), other, x)
