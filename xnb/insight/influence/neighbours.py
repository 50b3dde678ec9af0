"""A control that knows no training: inputs that look alike."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.at_layer import layer_activation
from xnb.data.split import Part
from xnb.insight.influence.registry import influence


@influence(needs="inputs", unit="none", paper="Hanawa et al. 2021, arXiv:2006.04528")
def nearest_inputs(model: nn.Module, train: Part, test: Part, *, layer: str | None = None) -> Float[Tensor, "B N"]:
    """Cosine of two inputs, or of what a layer makes of them; negative where their classes differ.

    What training has to do with an answer it cannot know: a method that does no better has not used the network.

    Args:
        layer: whose outputs are compared; the inputs themselves if omitted, and the model is not run.
    """
    of_train, of_test = (_normalise_rows(model, part, layer) for part in (train, test))
    same = test.y[:, None] == train.y[None]
    sign = torch.where(same, 1, -1)
    return sign * (of_test @ of_train.T)


def _normalise_rows(model: nn.Module, part: Part, layer: str | None) -> Float[Tensor, "N D"]:
    """Rows of length one."""
    found = part.x if layer is None else layer_activation(model, part.x, layer).activation
    return F.normalize(found.flatten(1), dim=1)
