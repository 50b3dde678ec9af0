"""Shapley values of regions: the score is shared out as a game that the regions play together."""

from math import comb
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.check import require
from xnb.methods.coalition_sampling import CoalitionPairs, Estimate, average_rounds, draw_pairs, sandwich_variance
from xnb.methods.game import make_game
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

EXACT = 16  # players: 65,536 coalitions


@method(
    family="perturbation",
    needs="forward",
    cost="(samples + 2) F",
    paper="Lundberg & Lee 2017, arXiv:1705.07874; sampling: arXiv:2410.01917, arXiv:2506.05216",
)
def kernel_shap(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
    samples: int = 512,
    sampling: Literal["paired", "leverage"] = "paired",
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region, by regression of the score on who is in. Unit: score per region.

    .. math:: \phi = \arg\min \sum_S w_{|S|} \Bigl(f(x_S) - f(b) - \sum_{r \in S} \phi_r\Bigr)^2
        \quad \text{with} \quad \sum_r \phi_r = f(x) - f(b)

    .. math:: w_k \propto \Bigl[\tbinom{M}{k} k (M - k)\Bigr]^{-1}

    The values of the regions add up to :math:`f(x) - f(b)` exactly, whatever the samples; with `samples` of all
    :math:`2^M - 2` coalitions they are the exact Shapley values. Most coalitions are unnatural inputs: what the
    model says there is shared out all the same.

    Args:
        regions: number of the region of each value, broadcast against one input; None: 7 x 7 squares of a picture,
            every value of anything else.
        baseline: what stands where a region is removed, one number or a tensor that broadcasts against `x`.
        samples: coalitions besides none and all, half of them complements of the others; the same for every input.
            Fewer than two a region leave the regression undetermined.
        sampling: how the samples are shared out among coalition sizes: `leverage` evenly; `paired` with more for
            the small and the large, which is better where samples are scarce. With many they differ little.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit, `samples < 2`, or an unknown `sampling`.
    """
    require(samples >= 2, "kernel_shap: samples must be at least 2, one pair", samples, "samples=512")
    known = sampling in {"paired", "leverage"}
    require(known, "kernel_shap: sampling must be paired or leverage", sampling, "sampling='paired'")
    game = make_game(model, x, target, regions, baseline, chunk)
    ends = torch.tensor([[False], [True]]).expand(2, game.players)  # the empty coalition, and that of all

    def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
        pairs = draw_pairs(game.players, samples // 2, sampling, rng)
        coalitions = torch.cat([ends, pairs.members, ~pairs.members])
        values = game.values(coalitions, rows)
        change = values[1] - values[0]
        halves = (values[2:] / 2).unflatten(0, (2, len(pairs.members)))
        return _fit_shapley_values(pairs, change, halves)

    return game.place_on_input(average_rounds(play_round, len(x), standard_error, seed))


def _fit_shapley_values(pairs: CoalitionPairs, change: Float[Tensor, " B"], halves: Float[Tensor, "2 N B"]) -> Estimate:
    """Shapley values by weighted least squares, for all inputs at once.

    Half of what a coalition's value exceeds its complement's is linear in who is in. The errors are those of the
    residuals (sandwich), except where all coalitions of a size were played.

    Args:
        pairs: coalitions and their complements.
        change: value of all players together, less that of none.
        halves: half the value of each coalition, and of its complement.
    """
    M = pairs.members.shape[1]
    # The values of the players must add up to `change`. Each gets an equal part of it and the regression finds the
    # rest, which adds up to nothing: subtracting from each row its mean takes that direction out of the equations.
    inside = pairs.members.double()
    centred = inside - inside.mean(1, keepdim=True)
    weighted = centred.mT * pairs.weights
    solve = torch.linalg.pinv(weighted @ centred, hermitian=True, rtol=1e-10) @ weighted
    equal_parts = (inside.mean(1) - 0.5)[:, None] * change
    residuals = halves[0] - halves[1] - equal_parts
    rest = solve @ residuals
    residuals -= centred @ rest
    errors = torch.zeros_like(rest)  # nothing was left to chance
    if pairs.missing.any():
        squares = pairs.missing[:, None] * residuals.square()
        errors = sandwich_variance(solve, squares, M - 1)
    return Estimate((rest + change / M).mT, errors.mT)


@method(
    family="perturbation",
    needs="forward",
    cost="2 samples (M - 1) + 2 F",
    axioms=("dummy",),
    paper="Castro, Gomez & Tejada 2009, doi:10.1016/j.cor.2008.04.004; antithetic: arXiv:2104.12199",
)
def permutation_shapley(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
    samples: int = 10,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region: what it adds on joining, over random orders. Unit: score per region.

    .. math:: \phi_r = \mathrm{E}_\pi \bigl[ f(x_{\{\pi \le r\}}) - f(x_{\{\pi < r\}}) \bigr]

    Each order is also walked backwards, which cancels all interactions of two. Unbiased, and the values of the
    regions add up to :math:`f(x) - f(b)` exactly; kernel_shap needs fewer passes for the same error.

    Args:
        regions: number of the region of each value, broadcast against one input; None: 7 x 7 squares of a picture,
            every value of anything else.
        baseline: what stands where a region is removed, one number or a tensor that broadcasts against `x`.
        samples: pairs of an order and its reverse, each 2 (M - 1) passes; the same for every input.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit, or `samples < 2`.
    """
    require(samples >= 2, "permutation_shapley: samples must be at least 2, or there is no spread", samples)
    game = make_game(model, x, target, regions, baseline, chunk)
    M = game.players
    ends = torch.tensor([[False], [True]]).expand(2, M)  # the empty coalition, and that of all

    def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
        position = torch.rand(samples, M, generator=rng).argsort(1)  # of each player in each order
        coalitions = position[:, None] < torch.arange(1, M)[:, None]  # the first 1, 2, ... M - 1 of each order
        first = coalitions.flatten(0, 1)
        values = game.values(torch.cat([ends, first, ~first]), rows)
        empty = values[0].expand(samples, 1, -1)
        everyone = values[1].expand(samples, 1, -1)
        forward, backward = values[2:].view(2, samples, M - 1, len(rows))
        # The complement of the first k is the first M - k of the reverse order. Along k the difference of both grows
        # by what a player adds on joining in the order, and by what it adds in the reverse: twice the mean of them.
        differences = torch.cat([empty - everyone, forward - backward, everyone - empty], 1)
        gains = differences.diff(dim=1) / 2
        by_player = gains.gather(1, position[..., None].expand_as(gains))
        mean = by_player.mean(0)
        variance = (by_player - mean).square().sum(0) / (samples * (samples - 1))
        return Estimate(mean.mT, variance.mT)

    return game.place_on_input(average_rounds(play_round, len(x), standard_error, seed))


@method(
    family="perturbation",
    needs="forward",
    cost="2 ** M F",
    axioms=("dummy",),
    paper="Shapley 1953, doi:10.1515/9781400881970-018",
)
def exact_shapley(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region, from all coalitions: its mean gain on joining. Unit: score per region.

    .. math:: \phi_r = \sum_{S \not\ni r} \frac{|S|!\,(M - |S| - 1)!}{M!} \bigl( f(x_{S \cup r}) - f(x_S) \bigr)

    The values of the regions add up to :math:`f(x) - f(b)`. Exact for this game; whether the game is the right
    question depends on the regions and on the baseline.

    Args:
        regions: number of the region of each value, broadcast against one input, 16 at most; None: 4 x 4 squares
            of a picture, every value of anything else.
        baseline: what stands where a region is removed, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: more than 16 regions, or `regions` or `baseline` do not fit.
    """
    game = make_game(model, x, target, regions, baseline, chunk, side=4)
    M = game.players
    hint = "xnb.attribute(model, x, target, 'kernel_shap')"
    require(M <= EXACT, f"exact_shapley: at most {EXACT} regions, or there are too many coalitions", M, hint)
    number = torch.arange(2**M)[:, None]
    members = (number >> torch.arange(M)) % 2 == 1  # the bits of a coalition's number say who is in
    weights = _coalition_weights(members)
    return game.place_on_input((weights.mT @ game.values(members)).mT)


def _coalition_weights(members: Bool[Tensor, "N M"]) -> Float[Tensor, "N M"]:
    """Weight of each coalition's value in the Shapley value of each player.

    A player's value is a sum of gains, value with the player less value without. So a coalition that a player is in
    counts for it as what it joined to, one that it is not in counts as what it could join, with a minus.
    """
    M = members.shape[1]
    orders = [M * comb(M - 1, size) for size in range(M)]  # M! / |S|! (M - |S| - 1)!, by the size of S
    weight = torch.tensor([1 / count for count in orders], dtype=torch.double)
    size = members.sum(1, keepdim=True)
    inside = weight[(size - 1).clamp(min=0)]
    outside = -weight[size.clamp(max=M - 1)]
    return torch.where(members, inside, outside)
