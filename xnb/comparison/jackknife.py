"""Intervals of statistics that are no mean, such as a rank correlation or an area under a curve: by pseudo-values."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Statistic = Callable[[NDArray], float]


def make_pseudo_values(
    statistic: Statistic,
    values: Float[np.ndarray, "inputs ..."],
    blocks: int,
) -> NDArray:
    r"""Return a number for each block of inputs, for `estimate_mean`: the statistic, and how much the block moves it.

    .. math:: k\,\hat\theta - (k - 1)\,\hat\theta_{-j}

    with :math:`\hat\theta_{-j}` the statistic without block j of k. Their mean is the statistic, its bias by the
    number of inputs removed to first order; their spread is what other inputs would make of it. Of a mean they are the
    means of the blocks. A row of them for each training, `(trainings, blocks)`, gives an interval that speaks of other
    trainings and other inputs.

    It misleads where the statistic jumps: of ranks of few methods take few and large blocks, of a median none.

    Args:
        statistic: of values of some of the inputs, in the same form.
        values: first axis the inputs, which are dealt to the blocks in turn.
        blocks: at least 2, at most the number of inputs; with as many blocks as inputs each is left out alone.

    Source: Arvesen 1969, doi:10.1214/aoms/1177697287
    """
    block_of_input = np.arange(len(values)) % blocks
    whole = statistic(values)
    without = np.array([statistic(values[block_of_input != block]) for block in range(blocks)])
    return blocks * whole - (blocks - 1) * without
