"""Does an explanation change when what it should explain is destroyed? Sanity checks: to pass proves little.

A map that is other noise at each call passes all of them, as does a method that is only unstable. What fails does not
explain the model; what passes may. Rank methods by other metrics.
"""

from collections.abc import Sequence
from math import log, prod

import torch
from torch import Tensor, nn

from xnb.access.draws import make_generator
from xnb.access.memo import remember_answers
from xnb.access.rows import select_rows
from xnb.access.score import align_to_inputs, logits
from xnb.access.targets import read_target
from xnb.access.units import Axes, Units
from xnb.check import require
from xnb.metrics.map_values import histogram_entropy, unit_values
from xnb.metrics.neighbours import Method, explain_changes, shared_noise
from xnb.metrics.randomised_models import Order, parameter_layers, randomise_stepwise, randomised_copy
from xnb.metrics.registry import metric
from xnb.metrics.similarity import Similarity, map_similarity
from xnb.metrics.units import find_axes
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Scores, Target, TargetLike

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
    units: Units = None,
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
        units: axes of `x` that number what is ranked, as in `xnb.metrics.removal_curve`.
        seed: of the random parameters; the same in both orders.

    Raises:
        ValueError: `model` is no module, or `order`, `layers` or `similarity` is unknown.
    """
    curve = mprt_curve(
        model,
        x,
        target,
        attribution,
        method=method,
        order=order,
        layers=layers,
        similarity=similarity,
        units=units,
        seed=seed,
    )
    return torch.stack(list(curve.values())).nanmean(0)


def mprt_curve(
    model: nn.Module,
    x: Batch,
    target: TargetLike,
    attribution: Attribution,
    *,
    method: Method,
    order: Order = "top_down",
    layers: Sequence[str] | None = None,
    similarity: Similarity = "spearman",
    units: Units = None,
    seed: int = 0,
) -> dict[str, Scores]:
    """Similarity of the map after each step of `mprt`, by the layer that became random last; arguments as there."""
    target = read_target(target, x)
    axes = find_axes(units, x, attribution, model)
    copies = randomise_stepwise(model, order=order, layers=layers, seed=seed)
    similarities = {}
    for name, copy in show_progress(copies, len(layers or parameter_layers(model)), "layer"):
        map_of_copy = _explain_other(method, copy, x, target)
        similarities[name] = map_similarity(attribution, map_of_copy, x, similarity, units=axes)
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
    units: Units = None,
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
        units: as in `mprt`.
        seed: of the noise and of the random parameters.
        chunk: inputs explained in one call; the result does not depend on it.

    Raises:
        ValueError: `samples` is less than 1, or as `mprt`.
    """
    require(samples >= 1, "smooth_mprt: samples must be at least 1", samples, "samples=50")

    def smooth(model: Model, x: Batch, target: Target) -> Attribution:
        return _smooth_map(method, model, x, target, sigma, samples, seed, chunk)

    smooth_map = smooth(model, x, target)
    return mprt(
        model,
        x,
        target,
        smooth_map,
        method=smooth,
        order=order,
        layers=layers,
        similarity=similarity,
        units=units,
        seed=seed,
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
    units: Units = None,
    seed: int = 0,
) -> Scores:
    r"""Relative rise of the map's complexity when all parameters are random (eMPRT), :math:`(H_r - H) / H`.

    H is the entropy of the histogram of the map's values. Unit: none; 0 for a map that does not see the parameters,
    and near 0 for one that is noise before and after, which `mprt` calls perfect. It takes one explanation, where
    `mprt` takes one a layer. NaN where the map is constant, and where each of its values has a bin of its own, as a few
    units have in many bins: every such map has the same entropy.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        bins: of the histogram, from each map's least to its largest value.
        units: as in `mprt`.
        seed: of the random parameters.

    Raises:
        ValueError: `model` is no module, or `bins < 2`.
    """
    require(bins >= 2, "efficient_mprt: bins must be at least 2", bins, "bins=100")
    random_map = _explain_other(method, randomised_copy(model, seed=seed), x, target)
    axes = find_axes(units, x, attribution, model)
    before = histogram_entropy(unit_values(attribution, x, axes), bins)
    after = histogram_entropy(unit_values(random_map, x, axes), bins)
    rise = (after - before) / before
    return torch.where(_tells_maps_apart(before, x, axes), rise, torch.nan).to(x.dtype)


def _tells_maps_apart(entropies: Scores, x: Batch, axes: Axes) -> Tensor:
    """Whether a histogram's entropy is between that of a constant map and that of any map of so few units."""
    units = prod(x.shape[axis] for axis in axes)
    return (entropies > 0) & (entropies < log(units) * (1 - 1e-9))


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
    units: Units = None,
    seed: int = 0,
) -> Scores:
    """Similarity of the map to that of another class. Unit: correlation; 1 for a map that does not see the class.

    The other class is the target moved on by the same random number for every input. Two classes that share their
    evidence have similar maps for good reason; with two logits of opposite sign -1 is to be expected.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        similarity: as in `mprt`.
        units: as in `mprt`.
        seed: of the other class.

    Raises:
        ValueError: the model has one logit.
    """
    axes = find_axes(units, x, attribution, model)
    with select_rows(slice(1), len(x)):
        classes = logits(model, x[:1]).shape[1]
    # The two classes of one logit are each other's negative, and so are their maps by nearly every method.
    rule = "random_logit: the model must have at least 2 classes, each with a logit of its own"
    require(classes > 1, rule, classes, "xnb.metrics.mprt(model, x, target, attribution, method=method)")
    rng = make_generator("randomisation", seed)
    offset = int(torch.randint(1, classes, (), generator=rng))
    other_target = (target + offset) % classes
    return map_similarity(attribution, method(model, x, other_target), x, similarity, units=axes)


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
    units: Units = None,
) -> Scores:
    """Similarity of the map to that of the same network trained on random labels. Unit: correlation.

    1 for a map that does not see what was learnt. That the other network learnt its labels by heart must be shown
    beside it: one that learnt nothing is a random one.

    Args:
        method: what explains, `(model, x, target) -> attribution`.
        other: the network trained on random labels.
        similarity: as in `mprt`.
        units: as in `mprt`.
    """
    axes = find_axes(units, x, attribution, model)
    return map_similarity(attribution, _explain_other(method, other, x, target), x, similarity, units=axes)


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
