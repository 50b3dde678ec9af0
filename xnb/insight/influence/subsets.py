"""A truth that costs fewer trainings than leaving each input out: what training on halves of the data changes."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.check import require
from xnb.metrics.map_values import spearman_correlation


def draw_subsets(count: int, size: int, *, share: float = 0.5, seed: int = 0) -> Bool[Tensor, "M N"]:
    """Subsets of `size` training inputs, one a row, each of the same number of inputs.

    Args:
        count: of subsets.
        share: of the inputs that a subset holds.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """
    require(0 < share < 1, "draw_subsets: share must be between 0 and 1", share, "share=0.5")
    draws = torch.rand(count, size, generator=make_generator("subsets of training inputs", seed))
    return draws.argsort(1).argsort(1) < round(share * size)


def score_subsets(
    influence: Float[Tensor, "B N"], subsets: Bool[Tensor, "M N"], outputs: Float[Tensor, "M B"]
) -> Float[Tensor, " B"]:
    """Rank correlation, for each test input, of what subsets were to give and what training on them gave.

    The linear datamodelling score (arXiv:2303.14186): the influences of a subset are summed. It misleads where few
    subsets were trained, as the correlation then has a wide interval: some hundred make it 0.1.

    Args:
        influence: of each training input on each test input, as methods return it.
        subsets: which inputs were learned, as `draw_subsets` draws them.
        outputs: after training on each subset, higher where the answer is better: the log-odds of the class, or
            minus its loss. Means over trainings have less noise.
    """
    return spearman_correlation(subsets.to(influence) @ influence.T, outputs)
