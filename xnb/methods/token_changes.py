"""Which token stands for which number of an input that has no slopes, as the numbers of words: by changing them."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.types import Batch


def change_numbers(x: Batch, where: Tensor) -> Batch:
    """The input with other numbers of its own at some places: the largest, and the smallest where that stood."""
    other = torch.where(x == x.amax(), x.amin(), x.amax())
    return torch.where(where, other, x)


def find_owners_by_changes(read_tokens: Callable[[Batch], Float[Tensor, "N D"]], x: Batch) -> Int[Tensor, " T"] | None:
    """For each place of an input `(1, T)` the token that reads it; None unless one token reads one place.

    Two runs for each binary digit of the places' numbers: those that have it are changed, and those that do not.

    Args:
        read_tokens: tokens of an input, before any of them read another.
    """
    length = x.shape[1]
    places = torch.arange(length, device=x.device)
    before = read_tokens(x)
    place = places.new_zeros(len(before))
    reads = torch.zeros_like(place, dtype=torch.bool)
    for digit in range(max(1, (length - 1).bit_length())):
        has = (places >> digit) % 2 == 1
        with_digit = (read_tokens(change_numbers(x, has)) != before).any(1)
        without = (read_tokens(change_numbers(x, ~has)) != before).any(1)
        if (with_digit & without).any():
            return None
        place += with_digit.long() << digit
        reads = with_digit | without
    # two tokens that read one place cannot both have it
    pieces = reads.nonzero()[:, 0]
    owner = places.new_full((length,), -1)
    owner[place[pieces]] = pieces
    if len(place[pieces].unique()) == len(pieces):
        return owner
    return None
