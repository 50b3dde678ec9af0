"""Does an explanation change when what it should explain is destroyed? Sanity checks: to pass proves little.

A map that is other noise at each call passes all of them, as does a method that is only unstable. What fails does not
explain the model; what passes may. Rank methods by other metrics.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xnb.access.ledger import remembering
from xnb.access.score import logits, per_input
from xnb.check import require
from xnb.metrics.map_values import values
from xnb.metrics.neighbours import Method, nearby, noise
from xnb.metrics.randomised_models import Order, dissolving, own_layers, randomised
from xnb.metrics.registry import metric
from xnb.metrics.similarity import Similarity, alike
from xnb.progress import watched
from xnb.types import Attribution, Batch, Model, Scores, Target

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292"
HEDSTROEM = "Hedstroem et al. 2024, arXiv:2401.06465"


@metric(category="randomisation", better="lower", paper=ADEBAYO, asks=("method",))
def mprt(
    model: nn.Module,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    order: Order = "top_down",
    layers: Sequence[str] | None = None,
    similarity: Similarity = "spearman",
    seed: int = 0,
) -> Scores:
    """Mean likeness of the map to those of the model while its layers become random, one after the other.

    Unit: correlation; 1 for a map that does not see the parameters. From the top, the features below stay and keep
    maps alike for good reason, and noise scores the perfect 0: it cannot rank methods (arXiv:2211.12486).

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        order: from the logits down, or from the input up.
        layers: names of modules in the order of the network, each randomised with all below it; every module with
            parameters of its own if omitted.
        similarity: of ranks with signs, of ranks of magnitudes, or SSIM; NaN steps (see `alike`) are left out.
        seed: of the random parameters; the same in both orders.

    Raises:
        ValueError: `model` is no module, or `order`, `layers` or `similarity` is unknown.
    """
    knobs = {"order": order, "layers": layers, "similarity": similarity, "seed": seed}
    return torch.stack(list(mprt_curve(model, x, target, attribution, method=method, **knobs).values())).nanmean(0)


def mprt_curve(
    model: nn.Module,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    order: Order = "top_down",
    layers: Sequence[str] | None = None,
    similarity: Similarity = "spearman",
    seed: int = 0,
) -> dict[str, Scores]:
    """Likeness of the map after each step of `mprt`, by the layer that became random last; knobs as there."""
    copies = dissolving(model, order=order, layers=layers, seed=seed)
    steps = watched(copies, len(layers or own_layers(model)), "layer")
    return {name: alike(attribution, afresh(method, copy, x, target), x, similarity) for name, copy in steps}


@metric(category="randomisation", better="lower", paper=HEDSTROEM, asks=("method",))
def smooth_mprt(
    model: nn.Module,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    sigma: float = 0.1,
    samples: int = 50,
    order: Order = "top_down",
    layers: Sequence[str] | None = None,
    similarity: Similarity = "spearman",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    """`mprt` of maps averaged over noise on the input (sMPRT), so that noisy maps are not called sane for their noise.

    Unit: correlation. The given attribution is not used, as it is not an average. It costs `samples` times as much.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        sigma: deviation of the noise, as a share of each input's own range.
        samples: noises averaged over; the same ones serve every input.
        order: as in `mprt`.
        layers: as in `mprt`.
        similarity: as in `mprt`.
        seed: of the noise and of the random parameters.
        chunk: inputs explained in one call; the result does not depend on it.

    Raises:
        ValueError: as `mprt`.
    """

    def smooth(model: Model, x: Batch, target: Target) -> Attribution:
        return smoothed(method, model, x, target, sigma, samples, seed, chunk)

    knobs = {"order": order, "layers": layers, "similarity": similarity, "seed": seed}
    return mprt(model, x, target, smooth(model, x, target), method=smooth, **knobs)


@metric(category="randomisation", better="higher", paper=HEDSTROEM, asks=("method",))
def efficient_mprt(
    model: nn.Module,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    bins: int = 100,
    seed: int = 0,
) -> Scores:
    r"""Relative rise of the map's complexity when all parameters are random (eMPRT), :math:`(H_r - H) / H`.

    H is the entropy of the histogram of the map's values. Unit: none; 0 for a map that does not see the parameters,
    and near 0 for one that is noise before and after, which `mprt` calls perfect. One explanation instead of one a
    layer. NaN where the map is constant.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        bins: of the histogram, from each map's least to its largest value.
        seed: of the random parameters.

    Raises:
        ValueError: `model` is no module, or `bins < 2`.
    """
    require(bins >= 2, "efficient_mprt: bins must be at least 2", bins, "bins=100")
    random = afresh(method, randomised(model, seed=seed), x, target)
    before, after = (complexity(a, x, bins) for a in (attribution, random))
    return torch.where(before > 0, (after - before) / before, torch.nan).to(x.dtype)


@metric(
    category="randomisation", better="lower", paper="Sixt, Granz & Landgraf 2020, arXiv:1912.09818", asks=("method",)
)
def random_logit(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    similarity: Similarity = "spearman",
    seed: int = 0,
) -> Scores:
    """Likeness of the map to that of another class. Unit: correlation; 1 for a map that does not see the class.

    The other class is the target moved on by the same random number for every input. Two classes that share their
    evidence have alike maps for good reason; with two logits of opposite sign -1 is to be expected.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        similarity: as in `mprt`.
        seed: of the other class.

    Raises:
        ValueError: the model has one class only.
    """
    classes = logits(model, x[:1]).shape[1]
    require(classes > 1, "random_logit: the model must have at least 2 classes", classes)
    move = int(torch.randint(1, classes, (), generator=torch.Generator().manual_seed(seed)))
    return alike(attribution, method(model, x, (target + move) % classes), x, similarity)


@metric(category="randomisation", better="lower", paper=ADEBAYO, asks=("method", "other"))
def data_randomisation(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    method: Method,
    other: Model,
    similarity: Similarity = "spearman",
) -> Scores:
    """Likeness of the map to that of the same network trained on random labels. Unit: correlation.

    1 for a map that does not see what was learnt. That the other network learnt its labels by heart must be shown
    beside it: one that learnt nothing is a random one.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        other: the network trained on random labels.
        similarity: as in `mprt`.
    """
    return alike(attribution, afresh(method, other, x, target), x, similarity)


def afresh(method: Method, model: Model, x: Batch, target: Target) -> Attribution:
    """Explain a copy, and keep nothing of it in the memory that a caller may have opened for the model itself."""
    with remembering():
        return method(model, x, target)


def smoothed(
    method: Method,
    model: Model,
    x: Batch,
    target: Target,
    sigma: float,
    samples: int,
    seed: int,
    chunk: int | None,
) -> Attribution:
    """Map averaged over noise on the input."""
    flat = x.flatten(1)
    moves, spread = noise(x, samples, seed), sigma * per_input(flat.amax(1) - flat.amin(1), x)
    total: Tensor | None = None
    for _, part, _, found in nearby(
        method, model, x, target, lambda some, part: x[part] + spread[part] * moves[some], samples, chunk=chunk
    ):
        total = found.new_zeros(len(x), *found.shape[2:]) if total is None else total
        total[part] += found.sum(0) / samples
    return total


def complexity(a: Attribution, x: Batch, bins: int) -> Scores:
    """Entropy of the histogram of each map's values, in nats."""
    worth = values(a, x).double()
    low, high = worth.amin(1, keepdim=True), worth.amax(1, keepdim=True)
    place = ((worth - low) / torch.where(high > low, high - low, 1) * bins).long().clamp(max=bins - 1)
    share = worth.new_zeros(len(x), bins).scatter_add_(1, place, torch.ones_like(worth)) / worth.shape[1]
    return torch.special.entr(share).sum(1)
