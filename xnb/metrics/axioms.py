"""Does a map keep what some methods promise: that it adds up, and that equal parts get equal shares?"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.ledger import remembered
from xnb.access.regions import expanded
from xnb.access.score import score
from xnb.check import require
from xnb.metrics.imputers import Imputer
from xnb.metrics.map_values import parts, subsets, summed, values
from xnb.metrics.registry import metric
from xnb.metrics.subsets import drops
from xnb.types import Attribution, Batch, Model, Scores, Target


@metric(category="axioms", better="lower", paper="Sundararajan, Taly & Yan 2017, arXiv:1703.01365")
def completeness_gap(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    baseline: Tensor | float = 0.0,
    chunk: int | None = None,
) -> Scores:
    r"""How far the map's sum is from the change of score it should explain, :math:`|\sum_i a_i - (f(x) - f(x'))|`.

    Unit: score. Only maps in units of score are asked: a slope or a heat map never promised to add up, and neither did
    a map that gives each pixel the worth of its whole region. Adding up is no proof of being right: a map that puts
    everything on one pixel can.

    Args:
        baseline: what the score is compared with, one number or a tensor that broadcasts against `x`.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: a baseline that does not fit, as `access.score.score`, or an attribution that is not that of `x`.
    """
    values(attribution, x)
    start = expanded(baseline, x)
    asked = ("change", model, x, target, baseline)
    change = remembered(asked, lambda: score(model, x, target, chunk=chunk) - score(model, start, target, chunk=chunk))
    return (attribution.detach().flatten(1).double().sum(1) - change.double()).abs().to(x)


@metric(category="axioms", better="lower", paper="Shapley 1953; as an axiom of attribution: arXiv:1703.01365")
def symmetry(
    model: Model,
    x: Batch,
    target: Target,
    attribution: Attribution,
    *,
    side: int = 4,
    share: float = 0.1,
    samples: int = 16,
    impute: str | Imputer = "mean",
    seed: int = 0,
    chunk: int | None = None,
) -> Scores:
    r"""How differently parts are treated that the model can exchange, beside how differently any two parts are.

    .. math:: \frac{\mathrm{mean}_{ij \in E} |a_i - a_j|}{\mathrm{mean}_{ij} |a_i - a_j|}, \quad
        r_{ij}^2 = \mathbb{E}_S \bigl( f(x_{\setminus S \cup i}) - f(x_{\setminus S \cup j}) \bigr)^2

    :math:`E` are the pairs of smallest :math:`r`. Unit: none; 0 if equal parts get equal shares, about 1 for a map that
    knows nothing, NaN for a constant one and where there is but one part. How alike those pairs are depends on the
    input: it compares methods, not inputs.

    Args:
        side: squares along a picture; of a table each feature, of a bag each instance is a part.
        share: of the pairs, those that the model exchanges best, with their ties.
        samples: sets removed beside the pair; each costs a pass for every part.
        impute: what stands where parts are removed.
        seed: draws the sets, the same for every input and every method.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: `share` is not in (0, 1], or as `xnb.metrics.single_deletion`.
    """
    require(0 < share <= 1, "symmetry: share must lie in (0, 1]", share, "share=0.1")
    where = parts(x, side)
    worth = summed(values(attribution, x), where).T
    gone = subsets(len(worth), torch.linspace(0, max(0, len(worth) - 2), samples).long(), seed).to(x.device)
    asked = ("symmetry", model, x, target, side, samples, impute, seed)
    also = gone[:, None] | torch.eye(len(worth), dtype=torch.bool, device=x.device)
    fell = remembered(asked, lambda: drops(model, x, target, also.flatten(0, 1), where, impute, chunk))
    swap = exchanges(fell.unflatten(0, also.shape[:2]), gone)
    first, second = torch.triu_indices(len(worth), len(worth), 1)
    if len(first) == 0:
        return torch.full_like(x.flatten(1)[:, 0], torch.nan)
    apart = (worth[first] - worth[second]).abs()
    alike = (swap <= swap.quantile(share, dim=0)).double()
    return ((apart * alike).sum(0) / alike.sum(0) / apart.mean(0)).to(x)


def exchanges(fell: Float[Tensor, "S M B"], gone: Bool[Tensor, "S M"]) -> Float[Tensor, "P B"]:
    """For each pair of parts, the root mean square of what taking one for the other changes, over sets without both."""
    first, second = torch.triu_indices(gone.shape[1], gone.shape[1], 1)
    free = (~gone[:, first] & ~gone[:, second]).double()
    changes = (fell[:, first] - fell[:, second]).square()
    return (torch.einsum("sp,spb->pb", free, changes) / free.sum(0)[:, None]).sqrt()
