"""Shapley values of regions: the score is shared out as a game that the regions play together."""

from math import comb
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.baselines import Baseline
from xnb.access.regions import COARSE_PIECES, Regions
from xnb.check import require
from xnb.methods.coalition_sampling import Estimate, OrderedJoining, average_rounds, draw_pairs
from xnb.methods.game import Game, make_game, solve_game
from xnb.methods.independent_draws import (
    draw_independent_coalitions,
    draw_independent_pairs,
    fit_independent_draws,
)
from xnb.methods.registry import method
from xnb.methods.regression import fit_shapley_values
from xnb.progress import announce_passes
from xnb.types import Attribution, Batch, Model, Target

EXACT = 16  # players: 65,536 coalitions


@method(
    family="perturbation",
    needs="forward",
    cost="(samples + 2) F",
    paper="Lundberg & Lee 2017, arXiv:1705.07874; sampling: arXiv:2012.01536, arXiv:2410.01917, arXiv:2506.05216",
)
def kernel_shap(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    samples: int = 512,
    sampling: Literal["paired", "leverage", "iid", "iid_pairs"] = "paired",
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region, by a regression of the score on which regions are shown. Unit: score per region.

    .. math:: \phi = \arg\min \sum_S w_{|S|} \Bigl(f(x_S) - f(b) - \sum_{r \in S} \phi_r\Bigr)^2
        \quad \text{with} \quad \sum_r \phi_r = f(x) - f(b)

    .. math:: w_k \propto \Bigl[\tbinom{M}{k} k (M - k)\Bigr]^{-1}

    Here :math:`x_S` shows the regions of :math:`S`, of :math:`M` in all, and has the baseline elsewhere. The values add
    up to :math:`f(x) - f(b)` exactly, whatever the samples; with `samples` of all :math:`2^M - 2` coalitions they are
    the exact Shapley values. Most coalitions are unnatural inputs: what the model says there is shared out all the
    same.

    Args:
        regions: number of the region of each value, superpixels for instance; None: 7 x 7 squares of a picture,
            pieces of a signal or volume, every value of a table; `xnb.access.regions.number_regions` says more.
        baseline: what stands where a region is removed: a number, a tensor, "mean", "blur", "noise" or a function, as
            in `xnb.access.baselines.expand_baseline`.
        samples: coalitions besides none and all, the same for every input; half are complements, but for `iid`.
            Fewer than two a region leave the regression undetermined.
        sampling: how coalitions are drawn: with their complements and without replacement, shared out among sizes
            evenly (`leverage`), or with more for the small and the large (`paired`), which is better where samples are
            scarce. As published, for comparison: one by one with replacement (`iid`, Lundberg & Lee), or so with their
            complements (`iid_pairs`, Covert & Lee); both need more samples for the same error.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit, `samples < 2`, or an unknown `sampling`.
    """
    require(samples >= 2, "kernel_shap: samples must be at least 2, one pair", samples, "samples=512")
    known = sampling in {"paired", "leverage", "iid", "iid_pairs"}
    rule = "kernel_shap: sampling must be paired, leverage, iid or iid_pairs"
    require(known, rule, sampling, "sampling='paired'")

    def regress(game: Game) -> Float[Tensor, "b M"]:
        def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
            if sampling == "iid":
                return _play_independent_draws(game, rows, samples, rng)
            if sampling == "iid_pairs":
                pairs = draw_independent_pairs(game.players, samples // 2, rng)
            else:
                pairs = draw_pairs(game.players, samples // 2, sampling, rng)
            # A set and its complement run together: their mean has no error of odd order.
            values = game.values(torch.cat([_list_ends(game), pairs.members, ~pairs.members]), rows)
            change = values[1] - values[0]
            halves = (values[2:] / 2).unflatten(0, (2, len(pairs.members)))
            return fit_shapley_values(pairs, change, halves)

        return average_rounds(play_round, len(game.x), standard_error, seed)

    return solve_game(make_game(model, x, target, regions, baseline, chunk), regress)


def _list_ends(game: Game) -> Bool[Tensor, "2 M"]:
    """Return the empty coalition, and that of all."""
    return torch.tensor([[False], [True]]).expand(2, game.players)


def _play_independent_draws(game: Game, rows: Tensor, samples: int, rng: torch.Generator) -> Estimate:
    """Return what coalitions say that are drawn one by one, each without its complement."""
    members = draw_independent_coalitions(game.players, samples, rng)
    values = game.values(torch.cat([_list_ends(game), members]), rows)
    return fit_independent_draws(members, values[1] - values[0], values[2:] - values[0])


@method(
    family="perturbation",
    needs="forward",
    cost="(2 samples (M - 1) + 2) F",
    axioms=("dummy",),
    paper="Castro, Gomez & Tejada 2009, doi:10.1016/j.cor.2008.04.004; antithetic: arXiv:2104.12199",
)
def permutation_shapley(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    samples: int = 10,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region: what it adds when regions are shown one by one, over random orders of them.

    .. math:: \phi_r = \mathrm{E}_\pi \bigl[ f(x_{\{\pi \le r\}}) - f(x_{\{\pi < r\}}) \bigr]

    Here :math:`\{\pi < r\}` are the regions before :math:`r` in the order :math:`\pi`. Unit: score per region. Each
    order is also walked backwards, which cancels all interactions of two. Unbiased, and the values of the regions add
    up to :math:`f(x) - f(b)` exactly; kernel_shap needs fewer passes for the same error.

    Args:
        regions: number of the region of each value, superpixels for instance; None: 7 x 7 squares of a picture,
            pieces of a signal or volume, every value of a table; `xnb.access.regions.number_regions` says more.
        baseline: what stands where a region is removed: a number, a tensor, "mean", "blur", "noise" or a function, as
            in `xnb.access.baselines.expand_baseline`.
        samples: pairs of an order and its reverse, each 2 (M - 1) passes; the same for every input.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit, or `samples < 2`.
    """
    rule = "permutation_shapley: samples must be at least 2, or there is no spread"
    require(samples >= 2, rule, samples, "samples=10")
    game = make_game(model, x, target, regions, baseline, chunk)
    passes = 2 * samples * (game.players - 1) + 2
    announce_passes(passes, len(x), "xnb.attribute(model, x, target, 'kernel_shap')")

    def walk_orders(game: Game) -> Float[Tensor, "b M"]:
        def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
            # Of each player in each order.
            position = torch.rand(samples, game.players, generator=rng, dtype=torch.float32).argsort(1)
            return _average_gains(game.values(OrderedJoining(position), rows), position)

        return average_rounds(play_round, len(game.x), standard_error, seed)

    return solve_game(game, walk_orders)


def _average_gains(values: Float[Tensor, "N B"], position: Int[Tensor, "n M"]) -> Estimate:
    """Mean of what each player adds on joining, in the orders and in their reverses, and its squared error.

    Args:
        values: of the coalitions of `OrderedJoining(position)`.
        position: of each player in each order.
    """
    samples, M = position.shape
    B = values.shape[1]
    empty = values[0].expand(samples, 1, B)
    everyone = values[1].expand(samples, 1, B)
    forward, backward = values[2:].view(2, samples, M - 1, B)
    # The complement of the first k is the first M - k of the reverse order. Along k the difference of both grows
    # by what a player adds on joining in the order, and by what it adds in the reverse: twice the mean of them.
    differences = torch.cat([empty - everyone, forward - backward, everyone - empty], 1)
    gains = differences.diff(dim=1) / 2
    by_player = gains.gather(1, position[..., None].expand_as(gains))
    mean = by_player.mean(0)
    variance = (by_player - mean).square().sum(0) / (samples * (samples - 1))
    return Estimate(mean.mT, variance.mT)


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
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Shapley value of each region, exactly: its gain in score on joining others, averaged over all sets of them.

    .. math:: \phi_r = \sum_{S \not\ni r} \frac{|S|!\,(M - |S| - 1)!}{M!} \bigl( f(x_{S \cup r}) - f(x_S) \bigr)

    Here :math:`x_S` shows the regions of :math:`S`, of :math:`M` in all, and has the baseline elsewhere. Unit: score
    per region. The values add up to :math:`f(x) - f(b)`. Exact for this game; whether the game is the right question
    depends on the regions and on the baseline.

    Args:
        regions: number of the region of each value, 16 different at most, as in
            `xnb.access.regions.number_regions`; None: 4 x 4 squares of a picture, 16 segments of a signal, 2 x 2 x 2
            blocks of a volume, every value of a table.
        baseline: what stands where a region is removed: a number, a tensor, "mean", "blur", "noise" or a function, as
            in `xnb.access.baselines.expand_baseline`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: more than 16 regions, or `regions` or `baseline` do not fit.
    """
    game = make_game(model, x, target, regions, baseline, chunk, COARSE_PIECES)
    hint = "xnb.attribute(model, x, target, 'kernel_shap')"
    rule = f"exact_shapley: at most {EXACT} regions, or there are too many coalitions"
    require(game.players <= EXACT, rule, game.players, hint)
    announce_passes(2**game.players, len(x), hint)

    def play_all(game: Game) -> Float[Tensor, "b M"]:
        M = game.players
        number = torch.arange(2**M)[:, None]
        members = (number >> torch.arange(M)) % 2 == 1  # the bits of a coalition's number say who is in
        weights = _coalition_weights(members)
        return (weights.mT @ game.values(members)).mT

    return solve_game(game, play_all)


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
