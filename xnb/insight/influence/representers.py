"""Representer points: a last layer, written as a sum over the training inputs (arXiv:1811.09720)."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.at_layer import layer_activation
from xnb.check import require
from xnb.data.split import Part
from xnb.insight.influence.registry import influence

_MOST_STEPS = 5000
_CONVERGED = 1e-8  # largest slope of the objective at its minimum


@influence(needs="last layer", unit="logit", paper="Yeh et al. 2018, arXiv:1811.09720")
def representer_points(
    model: nn.Module, train: Part, test: Part, *, layer: str, damping: float = 1e-3
) -> Float[Tensor, "B N"]:
    r"""What each training input adds to the logit of a test input's class: the numbers of a row sum to that logit.

    .. math:: f_y(b) = \sum_n \alpha_{ny} h_n^\top h_b, \qquad \alpha_{nk} = \frac{[y_n = k] - p_{nk}}{2 \lambda N}

    The layer that makes logits of the features :math:`h` (and a constant) is trained again, to the end, with the
    penalty :math:`\lambda |W|^2` on the mean loss; only of that layer the sum is true. It misleads as an account of
    training: what made the features is taken as it is, so an input that taught the features alone has nothing.

    Args:
        layer: name of the module whose output the last layer reads; it is flattened.
        damping: lambda; the smaller, the fewer inputs matter and the longer the training.

    Raises:
        ValueError: no such layer, no damping, or the last layer cannot be trained to the end.
    """
    require(damping > 0, "representer_points: damping must be positive", damping, "damping=1e-3")
    features, of_test = (read_features(model, part, layer) for part in (train, test))
    classes = int(torch.cat([train.y, test.y]).max()) + 1
    head = fit_head(features, train.y, classes, damping)
    own_class = F.one_hot(train.y, classes)
    missed = own_class - (features @ head.T).softmax(1)
    # where the slope of the objective is zero the weights are this sum of features
    alpha = missed / (2 * damping * len(train))
    products = of_test @ features.T
    return (products * alpha.T[test.y]).to(train.x.dtype)


def read_features(model: nn.Module, part: Part, layer: str) -> Float[Tensor, "N D"]:
    """What a layer returns, flattened, with a constant behind it; in double precision."""
    found = layer_activation(model, part.x, layer).activation.flatten(1).double()
    return torch.cat([found, found.new_ones(len(found), 1)], 1)


def fit_head(features: Float[Tensor, "N D"], y: Tensor, classes: int, damping: float) -> Float[Tensor, "K D"]:
    """Weights that minimise the mean cross-entropy with the penalty `damping` times their squares.

    Raises:
        ValueError: the slope is not near zero after many steps.
    """
    head = features.new_zeros(classes, features.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [head], max_iter=_MOST_STEPS, tolerance_grad=_CONVERGED / 10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        penalty = damping * head.square().sum()
        value = F.cross_entropy(features @ head.T, y) + penalty
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(objective)
        objective()  # once more, for the slope at the end
    slope = float(cast(Tensor, head.grad).abs().max())
    rule = "representer_points: the last layer must be trained to the end, until its slope is zero"
    require(slope < _CONVERGED, rule, f"slope {slope:.1e}", f"damping={10 * damping:g}")
    return head.detach()
