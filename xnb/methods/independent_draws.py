"""KernelSHAP as it was published: coalitions drawn one by one, with replacement, and a regression on what came."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.methods.coalition_sampling import CoalitionPairs, Estimate
from xnb.methods.regression import sandwich_variance


def draw_independent_coalitions(
    players: int,
    number: int,
    rng: torch.Generator,
) -> Bool[Tensor, "N M"]:
    r"""Draw coalitions with replacement, neither none nor all, so that the draws themselves carry the Shapley kernel.

    .. math:: P(|S| = k) \propto \frac{1}{k (M - k)}

    and all coalitions of a size are equally likely. The same coalition may come again. One player has none to draw.
    """
    if players == 1:
        return torch.zeros(0, 1, dtype=torch.bool)
    size = torch.arange(1, players)
    chance = 1 / (size * (players - size)).double()
    sizes = 1 + torch.multinomial(chance, number, replacement=True, generator=rng)
    tickets = torch.rand(number, players, generator=rng, dtype=torch.double)
    rank = tickets.argsort(1).argsort(1)  # of each player's ticket: a coalition of size k has the k smallest
    return rank < sizes[:, None]


def draw_independent_pairs(
    players: int,
    number: int,
    rng: torch.Generator,
) -> CoalitionPairs:
    """Draw coalitions with replacement, to be played together with their complements (Covert & Lee 2021)."""
    members = draw_independent_coalitions(players, number, rng)
    ones = torch.ones(len(members), dtype=torch.double)
    # As often as a coalition came, so much it weighs; and of no size are all coalitions known to have come.
    return CoalitionPairs(members, weights=ones, missing=ones)


def fit_independent_draws(
    members: Bool[Tensor, "N M"], change: Float[Tensor, " B"], gains: Float[Tensor, "N B"]
) -> Estimate:
    """Shapley values by least squares without weights, for all inputs at once; errors by the sandwich estimator.

    Args:
        members: the coalitions that came.
        change: value of all players together, less that of none.
        gains: value of each coalition, less that of none.
    """
    M = members.shape[1]
    # Each player gets an equal part of the change, and the regression finds the rest, which adds up to nothing.
    share = members.double().mean(1, keepdim=True)
    centred = members.double() - share
    residuals = gains - share * change
    solve = torch.linalg.pinv(centred.mT @ centred, hermitian=True, rtol=1e-10) @ centred.mT
    rest = solve @ residuals
    squares = (residuals - centred @ rest).square()
    errors = sandwich_variance(solve, squares, M - 1)
    return Estimate((rest + change / M).mT, errors.mT)
