"""Does a map have the properties that some methods promise: it adds up, and equal parts get equal shares?"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.baselines import Baseline, expand_baseline
from xnb.access.memo import answer_once
from xnb.access.score import score
from xnb.access.units import Units
from xnb.check import require
from xnb.metrics.arguments import check_map
from xnb.metrics.imputers import Impute
from xnb.metrics.map_values import draw_part_sets, part_numbers, sum_over_parts, unit_values
from xnb.metrics.registry import metric
from xnb.metrics.subsets import score_drops
from xnb.metrics.units import find_axes
from xnb.metrics.variation import keep_where_moved
from xnb.types import Attribution, Batch, Model, Scores, Target


@metric(category="axioms", better="lower", paper="Sundararajan, Taly & Yan 2017, arXiv:1703.01365")
def completeness_gap(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    baseline: Baseline = 0.0,
    chunk: int | None = None,
) -> Scores:
    r"""How far the map's sum is from the change of score it should explain, :math:`|\sum_i a_i - (f(x) - f(x'))|`.

    Unit: score. It is a question to maps in units of the score alone: a gradient or a heat map never promised to add
    up, and neither did a map that gives each pixel the attribution of its whole region. Adding up is no proof of being
    right: a map that puts everything on one pixel can.

    Args:
        baseline: what the score is compared with, as in `xnb.access.baselines.expand_baseline`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: a baseline that does not fit, as `access.score.score`, or an attribution that is not that of `x`.
    """
    check_map(attribution, x)
    reference = expand_baseline(baseline, x, model)

    def measure_change() -> Scores:
        at_input = score(model, x, target, chunk=chunk)
        return at_input - score(model, reference, target, chunk=chunk)

    change = answer_once(("change", model, x, target, baseline), measure_change)
    total = attribution.detach().flatten(1).double().sum(1)
    return (total - change.double()).abs().to(x)


@metric(category="axioms", better="lower", paper="Shapley 1953; as an axiom of attribution: arXiv:1703.01365")
def symmetry(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    side: int | None = None,
    share: float = 0.1,
    samples: int = 16,
    impute: Impute = "mean",
    units: Units = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""How differently parts are treated that the model can exchange, beside how differently any two parts are.

    .. math:: \frac{\mathrm{mean}_{ij \in E} |a_i - a_j|}{\mathrm{mean}_{ij} |a_i - a_j|}, \quad
        r_{ij}^2 = \mathbb{E}_S \bigl( f(x_{\setminus S \cup i}) - f(x_{\setminus S \cup j}) \bigr)^2

    :math:`E` are the pairs of smallest :math:`r`. Unit: none; 0 if equal parts get equal shares, about 1 for a map that
    knows nothing, NaN for a constant one. How similar those pairs are depends on the
    input: it compares methods, not inputs.

    Args:
        side: as in `xnb.metrics.single_deletion`.
        share: of the pairs, those that the model exchanges best, with their ties.
        samples: sets removed beside the pair; each costs a pass for every part.
        impute: what stands where parts are removed.
        units: as in `xnb.metrics.removal_curve`.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `share` is not in (0, 1], `samples` is less than 1, there are fewer than three parts, so one pair at
            most, or as `xnb.metrics.single_deletion`.
    """
    require(0 < share <= 1, "symmetry: share must lie in (0, 1]", share, "share=0.1")
    require(samples >= 1, "symmetry: samples must be at least 1", samples, "samples=16")
    axes = find_axes(units, x, attribution, model)
    part_of_unit = part_numbers(x, axes, side)
    attributions = sum_over_parts(unit_values(attribution, x, axes), part_of_unit).T
    parts = len(attributions)
    rule = "metrics: symmetry compares pairs, and fewer than 3 parts make one at most, so every map scores alike"
    hint = "side=4" if len(part_of_unit) >= 3 else "xnb.metrics.single_deletion(model, x, target, a)"
    require(parts >= 3, rule, f"{parts} parts", hint)
    sizes = torch.linspace(0, parts - 2, samples, dtype=torch.float32).long()
    removed = draw_part_sets(parts, sizes, seed).to(x.device)
    each_part = torch.eye(parts, dtype=torch.bool, device=x.device)
    # One run serves all pairs: f without S and i, for every part i (a part of S adds nothing to it).
    with_one_more = removed[:, None] | each_part

    def measure_drops() -> Float[Tensor, "N B"]:
        return score_drops(model, x, target, with_one_more.flatten(0, 1), part_of_unit, impute, axes, chunk)

    request = ("symmetry", model, x, target, side, samples, impute, axes, seed)
    drops = answer_once(request, measure_drops).unflatten(0, with_one_more.shape[:2])
    effects = exchange_effects(drops, removed)
    first, second = torch.triu_indices(parts, parts, 1)
    gaps = (attributions[first] - attributions[second]).abs()
    exchangeable = (effects <= effects.quantile(share, dim=0)).double()
    gap_of_exchangeable = (gaps * exchangeable).sum(0) / exchangeable.sum(0)
    ratio = gap_of_exchangeable / gaps.mean(0)
    return keep_where_moved(ratio.to(x), drops.flatten(0, 1))


def exchange_effects(drops: Float[Tensor, "S M B"], removed: Bool[Tensor, "S M"]) -> Float[Tensor, "P B"]:
    """For each pair of parts, the root mean square of what taking one for the other changes, over sets without both.

    Args:
        drops: of the score, with a set and one more part removed.
        removed: which parts are in each set.
    """
    parts = removed.shape[1]
    first, second = torch.triu_indices(parts, parts, 1)
    with_either = removed[:, first] | removed[:, second]
    without_both = (~with_either).double()
    squares = (drops[:, first] - drops[:, second]).square()
    sums = torch.einsum("sp,spb->pb", without_both, squares)
    return (sums / without_both.sum(0)[:, None]).sqrt()
