"""Methods that remove regions of the input, one by one or many at random, and look at the score."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.access.regions import number_regions
from xnb.access.score import changed_scores, expand_baseline, per_input
from xnb.check import require
from xnb.methods.coalition_sampling import averaged, sandwich, smooth_masks
from xnb.methods.game import Game, make_game
from xnb.methods.registry import method
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
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
    chunk: int | None = None,
) -> Attribution:
    r"""Drop in score when one region is removed, :math:`a_r = f(x) - f(x_{r \to b})`. Unit: score per region.

    Exact for a linear model. Two copies of the evidence hide each other: removing either changes nothing.

    Args:
        regions: number of the region of each value, broadcast against one input; None: 7 x 7 squares of a picture,
            every value of anything else.
        baseline: what stands where a region is removed, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `regions` or `baseline` do not fit.
    """
    play = make_game(model, x, target, regions, baseline, chunk)
    all_but_one = ~torch.eye(play.players, dtype=torch.bool)
    wins = play.values(torch.cat([torch.ones_like(all_but_one[:1]), all_but_one]))
    return play.place_on_input((wins[0] - wins[1:]).mT)


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
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
    samples: int = 512,
    standard_error: float | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Attribution:
    r"""What random masks that show a value score more than masks that hide it. Unit: score, from hidden to shown.

    .. math:: a_p = \frac{\sum_i (M_{ip} - \bar M_p)\, f(x_i)}{\sum_i (M_{ip} - \bar M_p)^2},
        \qquad x_i = M_i \odot x + (1 - M_i) \odot b

    Masks of pictures are coarse random bits, enlarged smoothly and shifted, `(B, 1, H, W)`: the map blurs what is
    smaller than a cell. Values of anything else are shown or hidden one by one with even odds, which estimates
    their Banzhaf values. Noise falls as one over the root of `samples`; that of the paper's own estimator is many
    times larger, since it carries the score that all masks have in common.

    Args:
        estimator: `centred` as above; `coverage` the mean score of the masks, weighted by how much they show of the
            value; `raw` as in the paper, where the weights add up to one in expectation only.
        cells: random bits along each side of a picture.
        regions: instead of smooth masks, whole regions are shown or hidden; broadcast against one input.
        baseline: what is painted where the mask hides, one number or a tensor that broadcasts against `x`.
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
    start = expand_baseline(baseline, x)

    def estimate(rows: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        masks, seen, hidden = masking(x, regions, cells, samples, rng), x[rows], start[rows]

        def change(some: slice, part: slice) -> Tensor:
            return torch.lerp(hidden[part], seen[part], masks(some).to(x)[:, None])

        scores = changed_scores(model, seen, target[rows], change, samples, chunk=chunk)
        return weighed(masks, scores.cpu().double(), estimator)

    return averaged(estimate, len(x), standard_error, seed).to(x)


Masks = Callable[[slice], Tensor]  # which of the masks -> (n, *#shape), between 0 and 1


def masking(x: Batch, regions: Tensor | None, cells: int, samples: int, rng: torch.Generator) -> Masks:
    """Smooth masks for pictures, and for all else random bits, one for each region."""
    if x.ndim == 4 and regions is None:
        require(cells >= 1, "rise: cells must be at least 1", cells, "cells=7")
        return smooth_masks(*x.shape[2:], cells, samples, rng)
    parts = number_regions(regions, x).cpu()
    bits = torch.randint(2, (samples, int(parts.max()) + 1), generator=rng).double()
    return lambda some: bits[some][:, parts]


def weighed(masks: Masks, scores: Float[Tensor, "N B"], estimator: str) -> tuple[Tensor, Tensor]:
    r"""Scores in a sum with weights that depend on the masks alone, :math:`\sum_i a_i f_i`, and its squared error.

    The error is :math:`\sum_i a_i^2 f_i^2 - (\sum_i a_i f_i)^2 / N`, with `f` measured from its mean unless the
    estimator is raw. Masks are made again, block by block, rather than held.
    """
    N = len(scores)
    blocks = [slice(start, start + BLOCK) for start in range(0, N, BLOCK)]
    mean, centre = torch.zeros(()), torch.zeros(())
    if estimator == "raw":
        scale = torch.tensor(N / 2)
    else:
        centre, scale = scores.mean(0), sum(masks(some).sum(0) for some in blocks)
    if estimator == "centred":
        mean = scale / N
        scale = sum((masks(some) - mean).square().sum(0) for some in blocks)
    apart, found, squares = scores - centre, 0, 0
    for some in blocks:
        weights = (masks(some) - mean) / scale
        found = found + torch.tensordot(apart[some], weights, ([0], [0]))
        squares = squares + torch.tensordot(apart[some].square(), weights.square(), ([0], [0]))
    shared = per_input(centre, found) if estimator == "coverage" else 0
    return found + shared, (squares - found.square() / N).clamp(min=0)


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
    regions: Int[Tensor, "..."] | None = None,
    baseline: Tensor | float = 0.0,
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
        regions: number of the region of each value, broadcast against one input; None: 7 x 7 squares of a picture,
            every value of anything else.
        baseline: what stands where a region is removed, one number or a tensor that broadcasts against `x`.
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
    require(ridge > 0, "lime: ridge must be positive, or regions that always go together have no answer", ridge)
    play = make_game(model, x, target, regions, baseline, chunk)

    def estimate(rows: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        members = torch.randint(2, (samples, play.players), generator=rng).bool()
        near = torch.exp(-distances(play, members, distance)[:, rows].square() / (2 * width**2))
        return local_fit(members.double(), near.mT, play.values(members, rows).mT, ridge)

    return play.place_on_input(averaged(estimate, len(x), standard_error, seed))


def distances(play: Game, members: Tensor, kind: str) -> Float[Tensor, "N B"]:
    """How far each coalition's input is from the input; sums over regions make it up, so none is built."""
    flat, start = (values.cpu().double().flatten(1) for values in (play.x, play.baseline))
    parts = play.regions.expand(play.x.shape[1:]).flatten().cpu()

    def of_regions(values: Tensor) -> Tensor:
        return values.new_zeros(len(values), play.players).index_add(1, parts, values).mT

    inside, outside = members.double(), (~members).double()
    if kind == "euclidean":
        return (outside @ of_regions((flat - start).square())).sqrt()
    own = of_regions(flat.square())
    product = inside @ own + outside @ of_regions(flat * start)
    length = (inside @ own + outside @ of_regions(start.square())).sqrt()
    return 1 - product / (own.sum(0).sqrt() * length).clamp(min=1e-12)


def local_fit(
    members: Float[Tensor, "N M"], near: Float[Tensor, "B N"], scores: Float[Tensor, "B N"], ridge: float
) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B M"]]:
    """Weighted ridge regression in closed form, one for each input; errors are those of the residuals (sandwich)."""
    M = members.shape[1]
    share = (near / near.sum(1, keepdim=True))[:, None]
    apart = members - share @ members
    weighted = (apart * near[..., None]).mT
    solve = torch.linalg.solve(weighted @ apart + ridge * torch.eye(M).to(members), weighted)
    residual = scores[..., None] - share @ scores[..., None]
    found = solve @ residual
    return found[..., 0], sandwich(solve, (residual - apart @ found).square(), M + 1)[..., 0]
