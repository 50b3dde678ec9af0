"""Regressions of the score on who is in a coalition, in whichever is fewer: the coalitions or the players."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.methods.coalition_sampling import CoalitionPairs, Estimate

_BLOCK = 4096  # players whose columns are held in double at a time, where they are more than the coalitions


def sandwich_variance(
    solve: Float[Tensor, "... M N"],
    squares: Float[Tensor, "... N K"],
    unknowns: int,
) -> Float[Tensor, "... M K"]:
    """Squared errors of a regression by the sandwich estimator; infinite without more draws than unknowns.

    With few more draws than unknowns it is too hopeful, by up to a half at twice as many.

    Args:
        solve: the matrix that turns scores into coefficients.
        squares: squared residuals of the draws.
        unknowns: how many coefficients the regression has, for the degrees of freedom.
    """
    draws = solve.shape[-1]
    errors = solve.square() @ squares
    if draws <= unknowns:
        return torch.full_like(errors, torch.inf)
    return errors * draws / (draws - unknowns)


def fit_shapley_values(
    pairs: CoalitionPairs,
    change: Float[Tensor, " B"],
    halves: Float[Tensor, "2 N B"],
) -> Estimate:
    """Shapley values by weighted least squares, for all inputs at once.

    Half of what a coalition's value exceeds its complement's is linear in who is in. The errors are those of the
    residuals (sandwich), except where all coalitions of a size were played. With fewer pairs than players many
    values fit, of which the smallest are taken.

    Args:
        pairs: coalitions and their complements.
        change: value of all players together, less that of none.
        halves: half the value of each coalition, and of its complement.
    """
    N, M = pairs.members.shape
    # The values of the players must add up to `change`. Each gets an equal part of it and the regression finds the
    # rest, which adds up to nothing: subtracting from each row its mean takes that direction out of the equations.
    mean = pairs.members.double().mean(1, keepdim=True)
    residuals = halves[0] - halves[1] - (mean - 0.5) * change
    if N < M - 1:
        rest = _solve_by_coalitions(pairs, mean, residuals)
        errors = torch.full_like(rest, torch.inf if pairs.missing.any() else 0.0)
        return Estimate((rest + change / M).mT, errors.mT)
    centred = pairs.members.double() - mean
    weighted = centred.mT * pairs.weights
    solve = torch.linalg.pinv(weighted @ centred, hermitian=True, rtol=1e-10) @ weighted
    rest = solve @ residuals
    residuals = residuals - centred @ rest
    errors = torch.zeros_like(rest)  # nothing was left to chance
    if pairs.missing.any():
        squares = pairs.missing[:, None] * residuals.square()
        errors = sandwich_variance(solve, squares, M - 1)
    return Estimate((rest + change / M).mT, errors.mT)


def _solve_by_coalitions(
    pairs: CoalitionPairs, mean: Float[Tensor, "N 1"], residuals: Float[Tensor, "N B"]
) -> Float[Tensor, "M B"]:
    r"""The same least squares by a matrix of coalitions: :math:`(A^T A)^+ A^T = A^T (A A^T)^+`.

    `A` holds the weighted rows, each less its mean. They are nowhere held in double as a whole.
    """
    M = pairs.members.shape[1]
    root = pairs.weights.sqrt()[:, None]
    together = _count_common_members(pairs.members) - M * mean * mean.mT
    products = root * together * root.mT
    shares = root * (torch.linalg.pinv(products, hermitian=True, rtol=1e-10) @ (root * residuals))
    return _sum_members(pairs.members, shares) - mean.mT @ shares


def fit_ridge(
    members: Bool[Tensor, "N M"],
    kernel: Float[Tensor, "B N"],
    scores: Float[Tensor, "B N"],
    ridge: float,
) -> Estimate:
    """Weighted ridge regression in closed form, one for each input; errors are those of the residuals (sandwich)."""
    N, M = members.shape
    # Subtracting weighted means takes the constant out of the regression, and so out of the penalty.
    share = kernel / kernel.sum(1, keepdim=True)
    centred_scores = scores - (share * scores).sum(1, keepdim=True)
    if N < M:
        coefficients = _fit_ridge_by_coalitions(members, kernel, centred_scores, ridge)
        return Estimate(coefficients, torch.full_like(coefficients, torch.inf))
    inside = members.double()
    centred = inside - share[:, None] @ inside
    weighted = (centred * kernel[..., None]).mT
    penalty = ridge * torch.eye(M).to(inside)
    solve = torch.linalg.solve(weighted @ centred + penalty, weighted)
    coefficients = solve @ centred_scores[..., None]
    residuals = centred_scores[..., None] - centred @ coefficients
    variance = sandwich_variance(solve, residuals.square(), M + 1)
    return Estimate(coefficients[..., 0], variance[..., 0])


def _fit_ridge_by_coalitions(
    members: Bool[Tensor, "N M"],
    kernel: Float[Tensor, "B N"],
    scores: Float[Tensor, "B N"],
    ridge: float,
) -> Float[Tensor, "B M"]:
    r"""The same ridge regression by a matrix of coalitions, :math:`A^T (A A^T + \lambda)^{-1} y`, input by input.

    Args:
        scores: each input's less their weighted mean.
    """
    N = len(members)
    common = _count_common_members(members)
    identity = torch.eye(N).to(common)
    shares = []
    for weights, values in zip(kernel, scores, strict=True):
        centre = identity - weights / weights.sum()  # subtracts the weighted mean from each column
        root = weights.sqrt()[:, None]
        products = root * (centre @ common @ centre.mT) * root.mT
        solved = torch.linalg.solve(products + ridge * identity, root * values[:, None])
        shares.append(centre.mT @ (root * solved))
    return _sum_members(members, torch.cat(shares, 1)).mT


def _count_common_members(members: Bool[Tensor, "N M"]) -> Float[Tensor, "N N"]:
    """How many players are in both of two coalitions."""
    common = torch.zeros((), dtype=torch.double)
    for block in members.split(_BLOCK, 1):
        inside = block.double()
        common = common + inside @ inside.mT
    return common


def _sum_members(members: Bool[Tensor, "N M"], shares: Float[Tensor, "N B"]) -> Float[Tensor, "M B"]:
    """For each player the sum of what the coalitions that it is in are worth."""
    return torch.cat([block.double().mT @ shares for block in members.split(_BLOCK, 1)])
