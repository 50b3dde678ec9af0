"""Methods that remove regions of the input, one by one or many at random, and look at the score."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.regions import Regions, suggest_fewer
from xnb.access.rows import select_rows
from xnb.access.score import align_to_inputs, changed_scores
from xnb.check import require
from xnb.methods.coalition_sampling import AllButOne, Estimate, MakeMasks, PlayRound, average_rounds, draw_smooth_masks
from xnb.methods.game import Game, make_game, solve_game
from xnb.methods.registry import method
from xnb.methods.regression import fit_ridge
from xnb.progress import announce_passes
from xnb.types import Attribution, Batch, Model, Target

BLOCK = 64  # masks that are held in double at a time
_BLOCK_VALUES = 2**22  # of coalitions that are held in double at a time


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
    r"""Drop in score when one region is removed, :math:`a_r = f(x) - f(x_{r \to b})`. Unit: score per region.

    Exact for a linear model. Two copies of the evidence hide each other: removing either changes nothing.

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
    r"""What random masks that show a value score more than masks that hide it. Unit: score, from hidden to shown.

    .. math:: a_p = \frac{\sum_i (M_{ip} - \bar M_p)\, f(x_i)}{\sum_i (M_{ip} - \bar M_p)^2},
        \qquad x_i = M_i \odot x + (1 - M_i) \odot b

    Masks of pictures are coarse random bits, enlarged smoothly and shifted, `(B, 1, H, W)`: the map blurs what is
    smaller than a cell. Regions, and the pieces of anything else, are shown or hidden one by one with even odds, which
    estimates their Banzhaf values. Noise falls as one over the root of `samples`; that of the paper's own estimator is
    many times larger, since it carries the score that all masks have in common.

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


@method(
    family="perturbation",
    needs="forward",
    cost="samples F",
    paper="Ribeiro, Singh & Guestrin 2016, arXiv:1602.04938",
)
def lime(
    model: Model,
    x: Batch,
    target: Target,
    *,
    regions: Regions | None = None,
    baseline: Baseline = 0.0,
    samples: int = 512,
    distance: Literal["cosine", "euclidean"] = "cosine",
    width: float = 1.0,
    ridge: float = 1.0,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""Slope of a linear model of the score, in which regions are there or not. Unit: score per region.

    .. math:: a = \arg\min_{a, c} \sum_S \pi_S \Bigl(f(x_S) - c - \sum_{r \in S} a_r\Bigr)^2 + \lambda \lVert a \rVert^2

    .. math:: \pi_S = e^{-d(x, x_S)^2 / 2 \sigma^2}

    Each region is there with probability 1/2. The answer moves with `width`, and `ridge` shrinks it: by about
    one part in `samples` / 4. It does not add up to anything.

    Args:
        regions: number of the region of each value, superpixels for instance; None: 7 x 7 squares of a picture,
            pieces of a signal or volume, every value of a table; `xnb.access.regions.number_regions` says more.
        baseline: what stands where a region is removed: a number, a tensor, "mean", "blur", "noise" or a function, as
            in `xnb.access.baselines.expand_baseline`.
        samples: coalitions, the same for every input.
        distance: of the changed input from the input, one minus their cosine or Euclidean.
        width: of the kernel, in units of `distance`; at 1 the cosine weighs nearly all alike.
        ridge: penalty on the slopes; the constant has none.
        standard_error: draw further rounds of `samples` until the error, relative to the map, is this; 64 at most.
        seed: seeds a generator of its own; the global one is left alone.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit, `samples < 2`, an unknown `distance`, or `width` or `ridge`
            that are not positive.
    """
    require(samples >= 2, "lime: samples must be at least 2", samples, "samples=512")
    known = distance in {"cosine", "euclidean"}
    require(known, "lime: distance must be cosine or euclidean", distance, "distance='cosine'")
    require(width > 0, "lime: width must be positive", width, "width=1.0")
    rule = "lime: ridge must be positive, or regions that always go together have no answer"
    require(ridge > 0, rule, ridge, "ridge=1.0")

    def fit_samples(game: Game) -> Float[Tensor, "b M"]:
        def play_round(rows: Tensor, rng: torch.Generator) -> Estimate:
            members = torch.randint(2, (samples, game.players), generator=rng).bool()
            # Of all inputs, though only some take part in later rounds: next to a pass of the model it costs nothing.
            distances = _distances_from_input(game, members, distance)[:, rows]
            exponents = -distances.square() / (2 * width**2)
            kernel = torch.exp(exponents)
            return fit_ridge(members, kernel.mT, game.values(members, rows).mT, ridge)

        return average_rounds(play_round, len(game.x), standard_error, seed)

    return solve_game(make_game(model, x, target, regions, baseline, chunk), fit_samples)


def _distances_from_input(game: Game, members: Bool[Tensor, "N M"], kind: str) -> Float[Tensor, "N B"]:
    """How far what each coalition leaves of an input is from the input.

    Squares and products of values are sums over regions, so they are summed over each region once; no changed input
    is built.
    """
    x = game.x.cpu().double().flatten(1)
    baseline = game.baseline.cpu().double().flatten(1)
    numbers = game.regions.expand(game.x.shape).flatten(1).cpu()

    def sum_regions(values: Tensor) -> Tensor:
        return values.new_zeros(len(values), game.players).scatter_add(1, numbers, values).mT

    differences = sum_regions((x - baseline).square())
    x_squares = sum_regions(x.square())
    products = sum_regions(x * baseline)
    baseline_squares = sum_regions(baseline.square())
    lengths = x_squares.sum(0).sqrt()
    blocks = []
    for coalitions in members.split(max(1, _BLOCK_VALUES // game.players)):
        present = coalitions.double()
        absent = (~coalitions).double()
        if kind == "euclidean":
            blocks.append((absent @ differences).sqrt())
            continue
        # A changed input has the input's values in the regions that are present and the baseline's in the others.
        product = present @ x_squares + absent @ products
        length = (present @ x_squares + absent @ baseline_squares).sqrt()
        blocks.append(1 - product / (lengths * length).clamp(min=1e-12))
    return torch.cat(blocks)
