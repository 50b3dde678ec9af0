"""Which inputs a model answers right, one by one: what differences of accuracy are estimated from."""

import numpy as np
from jaxtyping import Float
from torch import nn

from xnb.access.score import logits
from xnb.data.split import Part
from xnb.training.loop import check_arguments


def mark_right(model: nn.Module, part: Part) -> Float[np.ndarray, " B"]:
    """Return 1 for each input whose class has the largest logit, else 0.

    The mean is the accuracy of `evaluate`. Of several trainings, stacked to `(trainings, inputs)`, two tables subtract
    to the paired differences that `xnb.comparison.estimate_mean` takes.

    Raises:
        ValueError: `model` is in training mode, or `part` has no classes.
    """
    check_arguments(model, part=part)
    device = next(model.parameters()).device
    answers = logits(model, part.x.to(device)).argmax(1)
    return (answers.cpu() == part.y.cpu()).double().numpy()
