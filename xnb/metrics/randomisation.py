"""Does an explanation change when what it should explain is destroyed? Sanity checks: to pass proves little.

A map that is other noise at each call passes all of them, as does a method that is only unstable. What fails does not
explain the model; what passes may. Rank methods by other metrics.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xnb.access.draws import make_generator
from xnb.access.memo import remember_answers
from xnb.access.score import align_to_inputs, logits
from xnb.check import require
from xnb.metrics.map_values import unit_values
from xnb.metrics.neighbours import Method, explain_changes, shared_noise
from xnb.metrics.randomised_models import Order, parameter_layers, randomise_stepwise, randomised_copy
from xnb.metrics.registry import metric
from xnb.metrics.similarity import Similarity, map_similarity
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Scores, Target

_ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292"
_HEDSTROEM = "Hedstroem et al. 2024, arXiv:2401.06465"


@metric(category="randomisation", better="lower", paper=_ADEBAYO, asks=("method",))
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
    """Mean similarity of the map to those of the model while its layers become random, one after the other.

    Unit: correlation; 1 for a map that does not see the parameters. It cannot rank methods (arXiv:2211.12486): from the
    top, the features below stay as they are, so that maps stay similar for good reason, and noise scores the perfect 0.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        order: from the logits down, or from the input up.
        layers: names of modules in the order of the network, each randomised with all below it; every module with
            parameters of its own if omitted.
        similarity: of ranks with signs, of ranks of magnitudes, or SSIM; NaN steps (see `map_similarity`) are left out.
        seed: of the random parameters; the same in both orders.

    Raises:
        ValueError: `model` is no module, or `order`, `layers` or `similarity` is unknown.
    """
    curve = mprt_curve(
        model, x, target, attribution, method=method, order=order, layers=layers, similarity=similarity, seed=seed
    )
    return torch.stack(list(curve.values())).nanmean(0)


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
    """Similarity of the map after each step of `mprt`, by the layer that became random last; arguments as there."""
    copies = randomise_stepwise(model, order=order, layers=layers, seed=seed)
    similarities = {}
    for name, copy in show_progress(copies, len(layers or parameter_layers(model)), "layer"):
        map_of_copy = _explain_other(method, copy, x, target)
        similarities[name] = map_similarity(attribution, map_of_copy, x, similarity)
    return similarities


@metric(category="randomisation", better="lower", paper=_HEDSTROEM, asks=("method",))
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

    Unit: correlation. The attribution itself is not used, as it is not an average. It costs `samples` times as much.

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
        return _smooth_map(method, model, x, target, sigma, samples, seed, chunk)

    smooth_map = smooth(model, x, target)
    return mprt(
        model, x, target, smooth_map, method=smooth, order=order, layers=layers, similarity=similarity, seed=seed
    )


@metric(category="randomisation", better="higher", paper=_HEDSTROEM, asks=("method",))
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
    and near 0 for one that is noise before and after, which `mprt` calls perfect. It takes one explanation, where
    `mprt` takes one a layer. NaN where the map is constant.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        bins: of the histogram, from each map's least to its largest value.
        seed: of the random parameters.

    Raises:
        ValueError: `model` is no module, or `bins < 2`.
    """
    require(bins >= 2, "efficient_mprt: bins must be at least 2", bins, "bins=100")
    random_map = _explain_other(method, randomised_copy(model, seed=seed), x, target)
    before = _histogram_entropy(attribution, x, bins)
    after = _histogram_entropy(random_map, x, bins)
    rise = (after - before) / before
    return torch.where(before > 0, rise, torch.nan).to(x.dtype)


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
    """Similarity of the map to that of another class. Unit: correlation; 1 for a map that does not see the class.

    The other class is the target moved on by the same random number for every input. Two classes that share their
    evidence have similar maps for good reason; with two logits of opposite sign -1 is to be expected.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        similarity: as in `mprt`.
        seed: of the other class.

    Raises:
        ValueError: the model has one class only.
    """
    classes = logits(model, x[:1]).shape[1]
    require(classes > 1, "random_logit: the model must have at least 2 classes", classes)
    rng = make_generator("randomisation", seed)
    offset = int(torch.randint(1, classes, (), generator=rng))
    other_target = (target + offset) % classes
    return map_similarity(attribution, method(model, x, other_target), x, similarity)


@metric(category="randomisation", better="lower", paper=_ADEBAYO, asks=("method", "other"))
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
    """Similarity of the map to that of the same network trained on random labels. Unit: correlation.

    1 for a map that does not see what was learnt. That the other network learnt its labels by heart must be shown
    beside it: one that learnt nothing is a random one.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        other: the network trained on random labels.
        similarity: as in `mprt`.
    """
    return map_similarity(attribution, _explain_other(method, other, x, target), x, similarity)


def _explain_other(method: Method, model: Model, x: Batch, target: Target) -> Attribution:
    """Explain another model, and leave nothing of it in the memory that a caller may have opened for the first."""
    with remember_answers():
        return method(model, x, target)


def _smooth_map(
    method: Method,
    model: Model,
    x: Batch,
    target: Target,
    sigma: float,
    samples: int,
    seed: int,
    chunk: int | None,
) -> Attribution:
    """Return the map averaged over noise on the input."""
    noise = shared_noise(x, samples, seed)
    flat = x.flatten(1)
    value_range = flat.amax(1) - flat.amin(1)
    deviation = sigma * align_to_inputs(value_range, x)

    def add_noise(draws: slice, rows: slice) -> Tensor:
        return x[rows] + deviation[rows] * noise[draws]

    mean = x.new_empty(0)
    for block in explain_changes(method, model, x, target, add_noise, samples, chunk=chunk):
        if mean.ndim == 1:  # the first block: only now is it known whether a map has the channels of its input, or one
            mean = block.attributions.new_zeros(len(x), *block.attributions.shape[2:])
        mean[block.rows] += block.attributions.sum(0) / samples
    return mean


def _histogram_entropy(attribution: Attribution, x: Batch, bins: int) -> Scores:
    """Entropy of the histogram of each map's values, in nats."""
    values = unit_values(attribution, x).double()
    low = values.amin(1, keepdim=True)
    high = values.amax(1, keepdim=True)
    width = torch.where(high > low, high - low, 1)
    bin_of_value = ((values - low) / width * bins).long()
    bin_of_value = bin_of_value.clamp(max=bins - 1)  # the largest value lies on the edge of the last bin
    counts = values.new_zeros(len(x), bins)
    counts.scatter_add_(1, bin_of_value, torch.ones_like(values))
    return torch.special.entr(counts / values.shape[1]).sum(1)
