"""How few pixels does an explanation name? Fewer are easier to read, and not for that any truer.

These metrics read the map alone, the magnitudes of its values and not their signs. A map that is zero everywhere
names nothing: NaN.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.access.units import Units
from xnb.metrics.map_values import unit_values
from xnb.metrics.registry import metric
from xnb.metrics.units import find_axes
from xnb.types import Attribution, Batch, Model, Scores, Target

_BHATT = "Bhatt, Weller & Moura 2020, arXiv:2005.00631"


def _magnitude_shares(attribution: Attribution, x: Batch, units: Units, model: Model) -> Float[Tensor, "B D"]:
    """Share of the map's magnitude that each pixel or feature holds, in double precision."""
    axes = find_axes(units, x, attribution, model)
    magnitude = unit_values(attribution, x, axes).double().abs()
    return magnitude / magnitude.sum(1, keepdim=True)


@metric(category="complexity", better="higher", paper="Chalasani et al. 2020, arXiv:1810.06583")
def sparseness(model: Model, x: Batch, target: Target, attribution: Attribution, *, units: Units = None) -> Scores:
    r"""Gini index of the magnitudes: 0 if every pixel holds as much, near 1 if one holds all. Unit: none.

    .. math:: 1 - 2 \sum_{k=1}^{D} \frac{|a|_{(k)}}{\|a\|_1} \cdot \frac{D - k + 1/2}{D}

    A coarse map spreads over many pixels and so counts as complex, however easily it is read; noise thresholded to
    one pixel has the best value.

    Args:
        units: axes of `x` that number what is counted, as in `xnb.metrics.removal_curve`.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite, or units that cannot be known.
    """
    ordered = _magnitude_shares(attribution, x, units, model).sort(dim=1).values
    D = ordered.shape[1]
    weights = D - torch.arange(D, device=x.device) - 0.5  # D - k + 1/2, as k counts from 1
    gini = 1 - 2 * (ordered * weights).sum(1) / D
    return gini.to(x)


@metric(category="complexity", better="lower", paper=_BHATT)
def entropy(model: Model, x: Batch, target: Target, attribution: Attribution, *, units: Units = None) -> Scores:
    r"""Entropy of the magnitudes, :math:`-\sum_i p_i \ln p_i` with :math:`p_i = |a_i| / \|a\|_1`. Unit: nats.

    0 if one pixel holds all, :math:`\ln D` if every pixel holds as much. It grows with the number of pixels, so
    compare only inputs of one size.

    Args:
        units: axes of `x` that number what is counted, as in `xnb.metrics.removal_curve`.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite, or units that cannot be known.
    """
    return torch.special.entr(_magnitude_shares(attribution, x, units, model)).sum(1).to(x)


@metric(category="complexity", better="lower", paper="Hill 1973, doi:10.2307/1934352")
def effective_support(
    model: Model, x: Batch, target: Target, attribution: Attribution, *, units: Units = None
) -> Scores:
    r"""How many pixels of equal magnitude would be as concentrated, :math:`1 / \sum_i p_i^2`. Unit: pixels, 1 to all.

    Two pixels of the same magnitude make 2, whatever else is nearly zero: no threshold has to be set.

    Args:
        units: axes of `x` that number what is counted, as in `xnb.metrics.removal_curve`.

    Raises:
        ValueError: an attribution that is not that of `x`, or not finite, or units that cannot be known.
    """
    return (1 / _magnitude_shares(attribution, x, units, model).square().sum(1)).to(x)
