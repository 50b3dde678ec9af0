"""LIME: a linear model of the score around one input, fitted where random regions of it are hidden."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.baselines import Baseline
from xnb.access.regions import Regions
from xnb.check import require
from xnb.methods.coalition_sampling import Estimate, average_rounds
from xnb.methods.game import Game, make_game, solve_game
from xnb.methods.registry import method
from xnb.methods.regression import fit_ridge
from xnb.types import Attribution, Batch, Model, Target

_BLOCK_VALUES = 2**22  # of coalitions that are held in double at a time


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
    r"""Weight of each region in a linear model, fitted to scores of copies in which random regions are hidden.

    .. math:: a = \arg\min_{a, c} \sum_S \pi_S \Bigl(f(x_S) - c - \sum_{r \in S} a_r\Bigr)^2 + \lambda \lVert a \rVert^2

    .. math:: \pi_S = e^{-d(x, x_S)^2 / 2 \sigma^2}

    Here :math:`x_S` shows the regions of :math:`S` and has the baseline elsewhere, :math:`d` is its distance from the
    input and :math:`\sigma` the `width`, :math:`\lambda` the `ridge`. Each region is shown with probability 1/2. Unit:
    score per region. The answer moves with `width`, and `ridge` shrinks it: by about one part in `samples` / 4. It does
    not add up to anything.

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
