"""Weights that differ most from a model's attention and leave its decision as it is: exact, or by linear programs.

`xnb.metrics.attention_tests.adversarial_divergence` climbs, and may stop on the way; these do not. The divergence is
convex in the other weights, so its largest value lies in a corner of the weights that are allowed.
"""

import torch
from jaxtyping import Float
from scipy.optimize import linprog
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.metrics.attention_tests import jensen_shannon_divergence

_TokenWeights = Float[Tensor, "B N"]  # of the tokens of each input, not negative, with sum 1


def largest_divergence(a: _TokenWeights, margins: Float[Tensor, "B N"], budget: float) -> Float[Tensor, " B"]:
    r"""Return the largest divergence from `a` of all weights that move the probabilities of two classes by `budget`.

    With :math:`d_n` the margin of token n the weights allowed are

    .. math:: \{b \ge 0,\ \textstyle\sum b_n = 1,\ l \le \sum b_n d_n \le h\}

    with l and h the logits of p - budget and p + budget. Its corners have one token whose :math:`d_n` lies between l
    and h, or two whose mean is l or h: all of them are tried, so this is no search.

    Args:
        a: weights of the tokens.
        margins: the logit of one class less that of the other, of each token alone: what a linear head makes of it.
        budget: largest total variation that counts as the same decision.
    """
    a = a.detach().double()
    d = margins.detach().double()
    p = torch.sigmoid((a * d).sum(1, keepdim=True))
    ends = torch.cat([torch.logit((p - budget).clamp(min=0)), torch.logit((p + budget).clamp(max=1))], 1)
    # A convex function is largest in a corner: those of one token first, then those of two.
    allowed = (d >= ends[:, :1]) & (d <= ends[:, 1:])
    singles = torch.eye(a.shape[1], dtype=a.dtype, device=a.device).expand(len(a), -1, -1)
    found = [torch.where(allowed, _divergences(a, singles), 0.0)]
    for end in ends.unbind(1):
        corners, exist = _pairs_whose_mean_is(end, d)
        found.append(torch.where(exist, _divergences(a, corners), 0.0))
    return torch.cat(found, 1).amax(1)


def _pairs_whose_mean_is(end: Float[Tensor, " B"], d: _TokenWeights) -> tuple[Tensor, Tensor]:
    """Return weights `(B, P, N)` of every pair of tokens whose weighted `d` is `end`, and which of them exist."""
    N = d.shape[1]
    first, second = torch.triu_indices(N, N, 1, device=d.device)
    share = (end[:, None] - d[:, second]) / (d[:, first] - d[:, second])
    exist = (share >= 0) & (share <= 1)  # false where two tokens say the same, and where the end is infinite
    share = torch.where(exist, share, 0.0)[:, :, None]
    one_hot = torch.eye(N, dtype=d.dtype, device=d.device)
    return share * one_hot[first] + (1 - share) * one_hot[second], exist


def _divergences(a: _TokenWeights, others: Float[Tensor, "B P N"]) -> Float[Tensor, "B P"]:
    """Return the divergence from the weights of an input of each of the P other weights for it."""
    P = others.shape[1]
    return jensen_shannon_divergence(a.repeat_interleave(P, 0), others.flatten(0, 1)).view(len(a), P)


def search_by_linear_programs(
    a: _TokenWeights, values: Float[Tensor, "B N K"], *, starts: int = 4, seed: int = 0
) -> Float[Tensor, " B"]:
    r"""Return the largest divergence found of weights that leave every logit difference exactly as it is.

    Each start is a linear program, whose solution is a corner :math:`\hat b` of the allowed weights:

    .. math:: \max_b \sum_n g_n b_n, \qquad \sum_n b_n (v_{nc} - v_{n1}) = \sum_n a_n (v_{nc} - v_{n1})

    for every class c. The first start takes :math:`g = -a`, which leaves as little as possible where the attention
    is; the others the slope of the divergence at random weights, :math:`g_n = \frac12 \log \frac{2 b_n}{a_n + b_n}`.
    A lower bound, as of any search; no start depends on where another ended.

    Args:
        a: weights of the tokens.
        values: the logits of each token alone.
        starts: linear programs an input, some milliseconds each.
        seed: of the random weights.
    """
    a = a.detach().double().cpu()
    values = values.detach().double().cpu()
    rng = make_generator("starts of linear programs", seed)
    noise = torch.randn((starts - 1, *a.shape[1:]), generator=rng, dtype=a.dtype)
    # Inner points: in a corner the slope is infinite, and a program that starts there stays.
    b = torch.softmax(2 * noise, 1)
    found = []
    for weights, logits in zip(a, values, strict=True):
        slopes = torch.log(2 * b / (weights + b)) / 2
        goals = torch.cat([-weights[None], slopes])
        conditions = torch.cat([logits[:, 1:].T - logits[:, :1].T, torch.ones_like(weights[None])])
        corners = torch.stack([_solve(goal, conditions, weights) for goal in goals])
        found.append(_divergences(weights[None], corners[None]).max())
    return torch.stack(found)


def _solve(goal: Float[Tensor, " N"], conditions: Float[Tensor, "C N"], a: Float[Tensor, " N"]) -> Tensor:
    """Return the weights with the largest `goal` that fulfil the conditions as `a` does; `a` where none is found."""
    solution = linprog(-goal.numpy(), A_eq=conditions.numpy(), b_eq=(conditions @ a).numpy(), method="highs")
    return torch.from_numpy(solution.x).clamp(min=0) if solution.success else a
