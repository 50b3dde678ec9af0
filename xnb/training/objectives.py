"""What a model is trained for, beside being right: to be right for a reason, or in a way that can be explained.

Each returns an objective for `train.fit(..., objective=)`: a function of the model and some inputs, which answers
(what is minimised, logits). Randomness is the one that `train` lends to its passes.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.hooks import captured
from xnb.access.regions import square_grid
from xnb.data.split import Part
from xnb.training.loop import Objective, cross_entropy
from xnb.types import Masks


def random_masking(side: int = 4, most: float = 0.5, fill: float = 0.5) -> Objective:
    """Half of the pictures lose random squares, so that a picture with parts removed is nothing new to the model.

    Which squares are lost does not depend on the picture, so they tell nothing of the class (arXiv:2407.11910,
    arXiv:2410.02970).

    Args:
        side: squares along a picture.
        most: share of the squares that is lost at most; each picture draws its own.
        fill: what stands there.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        squares = square_grid(*part.x.shape[2:], side).to(part.x.device)
        share = torch.rand(len(part), 1, device=part.x.device) * most
        share = torch.where(torch.rand_like(share) < 0.5, share, 0)
        lost = torch.rand(len(part), int(squares.max()) + 1, device=part.x.device) < share
        x = torch.where(lost[:, squares][:, None], fill, part.x)
        return cross_entropy(model, Part(x, part.y))

    return objective


def right_reasons(strength: float, number: int, *, elsewhere: bool = False) -> Objective:
    r"""Cross-entropy, and a fine for slopes where the reason must not lie (Ross et al. 2017, arXiv:1703.03717).

    .. math:: L = -\log p_y + \lambda \sum_{j \in A} \Bigl( \frac{\partial}{\partial x_j} \sum_k \log p_k \Bigr)^2

    The fine is a mean over pictures, of sums over pixels. It needs to be known where the wrong reason is. A slope says
    what a small change would do: a model may still use a mark at whose height its slope is zero.

    Args:
        strength: :math:`\lambda`.
        number: of the part that must not be used, in `part.parts`.
        elsewhere: fine a random other place of the same form and size: a control that knows nothing of the mark.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        x = part.x.detach().requires_grad_()
        out = model(x)
        slope = torch.autograd.grad(out.log_softmax(1).sum(), x, create_graph=True)[0]
        forbidden = part.parts == number
        forbidden = shift_masks(forbidden) if elsewhere else forbidden
        fine = (slope.square() * forbidden).sum((1, 2, 3)).mean()
        return F.cross_entropy(out, part.y) + strength * fine, out

    return objective


def shift_masks(masks: Masks) -> Masks:
    """Each mask shifted around the borders by a random step of its own."""
    H, W = masks.shape[2:]
    down, right = (torch.randint(side, (len(masks), 1), device=masks.device) for side in (H, W))
    rows = (torch.arange(H, device=masks.device) + down) % H
    columns = (torch.arange(W, device=masks.device) + right) % W
    lines = masks.gather(2, rows[:, None, :, None].expand_as(masks))
    return lines.gather(3, columns[:, None, None, :].expand_as(masks))


def attention_entropy(strength: float, layer: str = "pool.softmax") -> Objective:
    r"""Cross-entropy, and the entropy of the attention, in shares of the largest possible.

    .. math:: L = -\log p_y + \lambda \frac{-\sum_k a_k \log a_k}{\log N}

    Low entropy means few tokens, not the right ones. Negative strength asks for the opposite.

    Args:
        strength: :math:`\lambda`.
        layer: name of the module whose output are the weights, `(..., N)`.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        with captured(model, layer) as seen:
            loss, out = cross_entropy(model, part)
        return loss + strength * normalised_entropy(seen[layer]).mean(), out

    return objective


def normalised_entropy(weights: Float[Tensor, "*B N"]) -> Float[Tensor, "*B"]:
    """Entropy of weights that sum to 1, in shares of the largest possible: 0 one token, 1 all alike."""
    return torch.special.entr(weights).sum(-1) / math.log(weights.shape[-1])
