"""Methods that remove regions of the input, one by one or many at random, and look at the score."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.regions import Regions, suggest_fewer
from xnb.access.rows import select_rows
from xnb.access.score import align_to_inputs, changed_scores
from xnb.check import require
from xnb.methods.coalition_sampling import AllButOne, Estimate, MakeMasks, PlayRound, average_rounds, draw_smooth_masks
from xnb.methods.game import Game, make_game, solve_game
from xnb.methods.registry import method
from xnb.progress import announce_passes
from xnb.types import Attribution, Batch, Model, Target

BLOCK = 64  # masks that are held in double at a time


@method(
    family="perturbation",
    needs="forward",
    cost="(1 + M) F",
    axioms=("dummy",),
    paper="Robnik-Sikonja & Kononenko 2008, doi:10.1109/TKDE.2007.190734",
)
def feature_ablation(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Drop in score when one region is removed. Unit: score per region.

    .. math:: a_r = f(x) - f(x_{r \to b})

    Here :math:`x_{r \to b}` has the baseline in region :math:`r`. Exact for a linear model. Two copies of the evidence
    hide each other: removing either changes nothing.

    Args:
        regions: number of the region of each value, superpixels for instance; None: 7 x 7 squares of a picture,
            pieces of a signal or volume, every value of a table; `xnb.access.regions.number_regions` says more.
        baseline: what stands where a region is removed: a number, a tensor, "mean", "blur", "noise" or a function, as
            in `xnb.access.baselines.expand_baseline`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit.
    """
    game = make_game(model, x, target, regions, baseline, chunk)
    announce_passes(game.players + 1, len(x), suggest_fewer(x))

    def drop_each(game: Game) -> Float[Tensor, "b M"]:
        values = game.values(AllButOne(game.players))
        return (values[0] - values[1:]).mT

    return solve_game(game, drop_each)


@method(
    family="perturbation",
    needs="forward",
    cost="samples F",
    paper="Petsiuk, Das & Saenko 2018, arXiv:1806.07421",
)
def rise(
    model: Model,
    x: Batch,
    target: Target,
    *,
    estimator: Literal["centred", "coverage", "raw"] = "centred",
    cells: int = 7,
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    samples: int = 512,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""How much more random masks score that show a value than masks that hide it. Unit: score, from hidden to shown.

    .. math:: a_p = \frac{\sum_i (M_{ip} - \bar M_p)\, f(x_i)}{\sum_i (M_{ip} - \bar M_p)^2},
        \qquad x_i = M_i \odot x + (1 - M_i) \odot b

    Here :math:`M_i` are the masks, 1 where they show, and :math:`\bar M` is their mean. Masks of pictures are coarse
    random bits, enlarged smoothly and shifted, `(B, 1, H, W)`: the map blurs what is smaller than a cell. Regions, and
    the pieces of anything else, are shown or hidden one by one with even odds, which estimates their Banzhaf values.
    Noise falls as one over the root of `samples`; that of the paper's own estimator is many times larger, since it
    carries the score that all masks have in common.

    Args:
        estimator: `centred` as above; `coverage` the mean score of the masks, weighted by how much they show of the
            value; `raw` as in the paper, where the weights add up to one in expectation only.
        cells: random bits along each side of a picture.
        regions: instead of smooth masks, whole regions are shown or hidden, superpixels for instance; None for what is
            no picture: pieces of a signal or volume, every value of a table, as `xnb.access.regions.number_regions`.
        baseline: what is painted where the mask hides: a number, a tensor, "mean", "blur", "noise" or a function, as in
            `xnb.access.baselines.expand_baseline`.
        samples: masks; the same for every input.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `samples < 2`, `cells < 1`, `regions` or `baseline` do not fit, or an unknown `estimator`.
    """
    require(samples >= 2, "rise: samples must be at least 2", samples, "samples=512")
    known = estimator in {"centred", "coverage", "raw"}
    require(known, "rise: estimator must be centred, coverage or raw", estimator, "estimator='centred'")
    if x.ndim == 4 and regions is None:  # only pictures have masks that are enlarged and shifted
        require(cells >= 1, "rise: cells must be at least 1", cells, "cells=7")
        play_round = _smooth_rounds(model, x, target, estimator, cells, expand_baseline(baseline, x), samples, chunk)
        return average_rounds(play_round, len(x), standard_error, seed).to(x)

    def show_regions(game: Game) -> Float[Tensor, "b M"]:
        def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
            shown = torch.randint(2, (samples, game.players), generator=rng).bool()
            return _weigh_scores(lambda draws: shown[draws].double(), game.values(shown, rows), estimator)

        return average_rounds(play_round, len(game.x), standard_error, seed)

    return solve_game(make_game(model, x, target, regions, baseline, chunk), show_regions)


def _smooth_rounds(
    model: Model,
    x: Float[Tensor, "B C H W"],
    target: Target,
    estimator: str,
    cells: int,
    hidden: Batch,
    samples: int,
    chunk: int | None,
) -> PlayRound:
    """Rounds of masks of the published kind, the same for all pictures that take part."""

    def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
        make_masks = draw_smooth_masks(x.shape[2], x.shape[3], cells, samples, rng)
        pictures = x[rows]
        painted = hidden[rows]

        def mask_inputs(draws: slice, inputs: slice) -> Tensor:
            return torch.lerp(painted[inputs], pictures[inputs], make_masks(draws).to(x)[:, None])

        with select_rows(rows, len(x)):
            scores = changed_scores(model, pictures, target[rows], mask_inputs, samples, chunk=chunk)
        return _weigh_scores(make_masks, scores.cpu().double(), estimator)

    return play_round


def _weigh_scores(make_masks: MakeMasks, scores: Float[Tensor, "N B"], estimator: str) -> Estimate:
    r"""Weighted sum of the scores for each value of the input, and its squared error.

    .. math:: v = \sum_i a_i f_i, \qquad a_i = (M_i - m) / s, \qquad \text{squared error} \sum_i a_i^2 f_i^2 - v^2 / N

    The weights depend on the masks alone; `f` is measured from its mean, unless the estimator is raw. Masks are made
    again, block by block, rather than held.
    """
    N = len(scores)
    blocks = [slice(start, start + BLOCK) for start in range(0, N, BLOCK)]
    centre = torch.zeros(()) if estimator == "raw" else scores.mean(0)
    mean, scale = _mask_moments(make_masks, blocks, N, estimator)
    deviations = scores - centre
    values = torch.zeros(())
    squares = torch.zeros(())
    for block in blocks:
        weights = (make_masks(block) - mean) / scale
        scores_of_block = deviations[block]
        values = values + _sum_over_masks(scores_of_block, weights)
        squares = squares + _sum_over_masks(scores_of_block.square(), weights.square())
    variance = (squares - values.square() / N).clamp(min=0)
    if estimator == "coverage":  # its weights add up to one, so what was taken off the scores comes back as it was
        values = values + align_to_inputs(centre, values)
    return Estimate(values, variance)


def _sum_over_masks(scores: Float[Tensor, "n B"], weights: Tensor) -> Tensor:
    return torch.tensordot(scores, weights, ([0], [0]))


def _mask_moments(make_masks: MakeMasks, blocks: list[slice], samples: int, estimator: str) -> tuple[Tensor, Tensor]:
    """What is subtracted from each mask, and what it is then divided by, as the estimator has it."""
    nothing = torch.zeros(())
    if estimator == "raw":
        return nothing, torch.tensor(samples / 2)  # a mask shows a value with even odds
    total = torch.zeros(())
    for block in blocks:
        total = total + make_masks(block).sum(0)
    if estimator == "coverage":
        return nothing, total
    mean = total / samples
    squares = torch.zeros(())
    for block in blocks:
        squares = squares + (make_masks(block) - mean).square().sum(0)
    return mean, squares
