"""How few pixels does an explanation name? Fewer are easier to read, and not for that any truer.

These read the map alone, its sizes and not its signs. NaN for a map that is zero everywhere, which names nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.metrics.map_values import values
from xnb.metrics.registry import metric
from xnb.types import Attribution, Batch, Model, Scores, Target

BHATT = "Bhatt, Weller & Moura 2020, arXiv:2005.00631"


def shares(attribution: Attribution, x: Batch) -> Float[Tensor, "B D"]:
    """What part of the map's size each unit holds, in double precision."""
    size = values(attribution, x).double().abs()
    return size / size.sum(1, keepdim=True)


@metric(category="complexity", better="higher", paper="Chalasani et al. 2020, arXiv:1810.06583")
def sparseness(model: Model, x: Batch, target: Target, attribution: Attribution) -> Scores:
    r"""Gini index of the sizes: 0 if every pixel holds as much, near 1 if one holds all. Unit: none.

    .. math:: 1 - 2 \sum_{k=1}^{D} \frac{|a|_{(k)}}{\|a\|_1} \cdot \frac{D - k + 1/2}{D}

    A coarse map is smooth, and so called complex; noise thresholded to one pixel has the best value.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite.
    """
    ordered = shares(attribution, x).sort(dim=1).values
    count = ordered.shape[1]
    above = count - torch.arange(count, device=x.device) - 0.5
    return (1 - 2 * (ordered * above).sum(1) / count).to(x)


@metric(category="complexity", better="lower", paper=BHATT)
def entropy(model: Model, x: Batch, target: Target, attribution: Attribution) -> Scores:
    r"""Entropy of the sizes, :math:`-\sum_i p_i \ln p_i` with :math:`p_i = |a_i| / \|a\|_1`. Unit: nats.

    0 if one pixel holds all, :math:`\ln D` if every pixel holds as much. It grows with the number of pixels, so
    compare only inputs of one size.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite.
    """
    return torch.special.entr(shares(attribution, x)).sum(1).to(x)


@metric(category="complexity", better="lower", paper="Hill 1973, doi:10.2307/1934352")
def effective_support(model: Model, x: Batch, target: Target, attribution: Attribution) -> Scores:
    r"""How many pixels of equal size would be as concentrated, :math:`1 / \sum_i p_i^2`. Unit: pixels, 1 to all.

    Two pixels of the same size make 2, whatever else is nearly zero: no threshold has to be chosen.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite.
    """
    return (1 / shares(attribution, x).square().sum(1)).to(x)
