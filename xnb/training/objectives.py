"""What a model is trained for, beside being right: to be right for a reason, or in a way that can be explained.

Each function returns an objective for `training.fit(..., objective=)`: a function of the model and some inputs that
returns (what is minimised, logits). Random numbers come from the generator that `train_epochs` lends to its epochs.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.hooks import capture_outputs
from xnb.access.regions import piece_grid
from xnb.check import refuse
from xnb.data.split import Part
from xnb.training.loop import Objective, cross_entropy
from xnb.types import Batch, Masks


def label_smoothing(strength: float = 0.1) -> Objective:
    r"""Cross-entropy with labels of which a share is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).

    .. math:: L = -(1 - s) \log p_y - \frac{s}{K} \sum_k \log p_k

    What is minimised then has a floor above zero, and probabilities are less certain than without.

    Args:
        strength: the share :math:`s`.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        out = model(part.x)
        return F.cross_entropy(out, part.y, label_smoothing=strength), out

    return objective


def random_masking(
    side: int = 4,
    most: float = 0.5,
    fill: float = 0.5,
) -> Objective:
    """Cross-entropy, with random squares removed from half of the pictures.

    So a picture with parts removed is nothing new to the model. Which squares are removed does not depend on the
    picture, so they tell nothing of the class (arXiv:2407.11910, arXiv:2410.02970).

    Args:
        side: squares along a picture.
        most: largest share of the squares that is removed; each picture draws its own.
        fill: what stands there.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        masked = _remove_squares(part.x, side, most, fill)
        return cross_entropy(model, Part(masked, part.y))

    return objective


def _remove_squares(x: Batch, side: int, most: float, fill: float) -> Batch:
    """Return the pictures, half of them with a random share of their squares removed, each square by itself."""
    square_of_pixel = piece_grid(x.shape[2:], side).to(x.device)
    squares = int(square_of_pixel.max()) + 1
    share = torch.rand(len(x), 1, device=x.device) * most
    share = torch.where(torch.rand_like(share) < 0.5, share, 0)
    removed = torch.rand(len(x), squares, device=x.device) < share
    return torch.where(removed[:, square_of_pixel][:, None], fill, x)


def single_removal(side: int = 4, fill: float = 0.5) -> Objective:
    """Cross-entropy, with one random square removed from half of the pictures, as in `metrics.fine_tune`.

    To a trained network that goes on with it one missing square is no surprise: `single_deletion` then asks for
    evidence (arXiv:2407.11910). Which square is removed does not depend on the picture.

    Args:
        side: squares along a picture, as in `single_deletion`.
        fill: what stands there: the baseline of the maps that are to be judged.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        return cross_entropy(model, Part(_remove_one_square(part.x, side, fill), part.y))

    return objective


def _remove_one_square(x: Batch, side: int, fill: float) -> Batch:
    """Return the pictures, half of them without one random square."""
    square_of_pixel = piece_grid(x.shape[2:], side).to(x.device)
    squares = int(square_of_pixel.max()) + 1
    removed = torch.randint(squares, (len(x), 1, 1), device=x.device)
    chances = torch.rand(len(x), 1, 1, device=x.device)
    loses = chances < 0.5
    holes = (square_of_pixel == removed) & loses
    return torch.where(holes[:, None], fill, x)


def right_reasons(
    strength: float,
    number: int,
    *,
    elsewhere: bool = False,
) -> Objective:
    r"""Cross-entropy, and a penalty for gradients where the reason must not lie (Ross et al. 2017, arXiv:1703.03717).

    .. math:: L = -\log p_y + \lambda \sum_{j \in A} \Bigl( \frac{\partial}{\partial x_j} \sum_k \log p_k \Bigr)^2

    The penalty is a mean over pictures, of sums over pixels. It needs to be known where the wrong reason is. A
    gradient says what a small change would do: a model may still use a mark at whose height its gradient is zero.

    Args:
        strength: :math:`\lambda`.
        number: of the part that must not be used, in `part.parts`.
        elsewhere: penalise a random other region of the same form and size: a control that knows nothing of the mark.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        forbidden = _find_part(part, number, "right_reasons")
        x = part.x.detach().requires_grad_()
        out = model(x)
        log_probabilities = out.log_softmax(1).sum()
        # A graph of the gradient itself: the penalty is minimised through it.
        gradient = torch.autograd.grad(log_probabilities, x, create_graph=True)[0]
        forbidden = shift_masks(forbidden) if elsewhere else forbidden
        sums = (gradient.square() * forbidden).sum((1, 2, 3))
        penalty = sums.mean()
        return F.cross_entropy(out, part.y) + strength * penalty, out

    return objective


def swapped_parts(number: int) -> Objective:
    """Cross-entropy of pictures that have swapped one part, so that the part says nothing of the class.

    Each picture gets the pixels of another one wherever one of the two has the part: it gains the part of the other, or
    loses its own. The other picture is drawn without looking at the class. It needs to be known where the part is, as
    for `right_reasons`, and changes the data in place of the gradient (Chang et al. 2021, arXiv:2106.01127). What lies
    under the part, of an object or of the background, is swapped along with it.

    Args:
        number: of the part, in `part.parts`.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        has_part = _find_part(part, number, "swapped_parts")
        other = torch.randperm(len(part), device=part.x.device)
        swapped = torch.where(has_part | has_part[other], part.x[other], part.x)
        return cross_entropy(model, Part(swapped, part.y))

    return objective


def _find_part(part: Part, number: int, name: str) -> Masks:
    """Return where the part of this number lies in each picture."""
    if part.parts is None:
        refuse(f"{name}: the data must say where their parts are", part.parts, "data = xnb.data.watermark()")
    return part.parts == number


def shift_masks(masks: Masks) -> Masks:
    """Return each mask shifted by random steps of its own, around the borders: same form and size, anywhere."""
    height, width = masks.shape[2:]
    up = torch.randint(height, (len(masks), 1), device=masks.device)
    left = torch.randint(width, (len(masks), 1), device=masks.device)
    # for each row and column of the result, the one of the mask that comes there
    rows = (torch.arange(height, device=masks.device) + up) % height
    columns = (torch.arange(width, device=masks.device) + left) % width
    shifted_up = masks.gather(2, rows[:, None, :, None].expand_as(masks))
    return shifted_up.gather(3, columns[:, None, None, :].expand_as(masks))


def attention_entropy(strength: float, layer: str = "pool.softmax") -> Objective:
    r"""Cross-entropy, and the entropy of the attention, in shares of the largest possible.

    .. math:: L = -\log p_y + \lambda \frac{-\sum_k a_k \log a_k}{\log N}

    Low entropy means few tokens, not the right ones. Negative strength asks for the opposite.

    Args:
        strength: :math:`\lambda`.
        layer: name of the module whose output are the weights, `(..., N)`.
    """

    def objective(model: nn.Module, part: Part) -> tuple[Tensor, Tensor]:
        with capture_outputs(model, layer) as outputs:
            loss, out = cross_entropy(model, part)
        entropy = normalised_entropy(outputs[layer]).mean()
        return loss + strength * entropy, out

    return objective


def normalised_entropy(weights: Float[Tensor, "*B N"]) -> Float[Tensor, "*B"]:
    """Entropy of weights that sum to 1, in shares of the largest possible: 0 for one token, 1 for all alike."""
    largest = math.log(weights.shape[-1])
    return torch.special.entr(weights).sum(-1) / largest
