"""Pictures changed at random before they are learned, in ways that leave their class: flips and small shifts.

Each function returns the `augment=` of `training.fit`: a function of pictures and of the generator that its draws come
from. It makes new pictures and leaves those of the data set as they are.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from xnb.check import require
from xnb.training.loop import Augment

Pictures = Float[Tensor, "B C H W"]


def random_flips() -> Augment:
    """Half of the pictures, each by a draw of its own, left side right."""

    def flip(x: Pictures, draws: torch.Generator) -> Pictures:
        chances = torch.rand(len(x), generator=draws)
        is_flipped = (chances < 0.5).to(x.device)
        return torch.where(is_flipped[:, None, None, None], x.flip(3), x)

    return flip


def random_shifts(most: int = 4) -> Augment:
    """Each picture moved by whole pixels, down or up and aside, by draws of its own; the border is filled by mirroring.

    Args:
        most: largest move in pixels; all moves in [-most, most] are equally likely.

    Raises:
        ValueError: `most` is negative; the pictures are not larger than it.
    """
    require(most >= 0, "random_shifts: most must be at least 0 pixels", most, "random_shifts(4)")

    def shift(x: Pictures, draws: torch.Generator) -> Pictures:
        moves = torch.randint(2 * most + 1, (2, len(x)), generator=draws)
        down, right = moves.to(x.device)
        H, W = x.shape[2:]
        # All windows of the picture's size as a view, without a copy: of each picture one is taken.
        windows = _mirror_borders(x, most).unfold(2, H, 1).unfold(3, W, 1)
        pictures = torch.arange(len(x), device=x.device)
        return windows[pictures, :, down, right]

    return shift


def _mirror_borders(x: Pictures, width: int) -> Float[Tensor, "B C H2 W2"]:
    least = min(x.shape[2:])
    hint = f"random_shifts({least - 1})"
    require(width < least, "random_shifts: pictures must be larger than the largest move", x, hint)
    return F.pad(x, (width, width, width, width), mode="reflect")


def flips_and_shifts(most: int = 4) -> Augment:
    """`random_flips`, then `random_shifts(most)`: what networks on CIFAR-10 are usually trained with.

    Args:
        most: largest move in pixels.
    """
    flip = random_flips()
    shift = random_shifts(most)

    def flip_and_shift(x: Pictures, draws: torch.Generator) -> Pictures:
        return shift(flip(x, draws), draws)

    return flip_and_shift
