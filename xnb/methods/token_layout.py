"""Where the tokens of a Transformer lie in its input."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from xnb.access.score import align_to_inputs
from xnb.check import require
from xnb.types import Attribution, Batch

PREFIX = 32  # at most so many tokens in front are no piece of the input: a class token and registers


class _TokenLayout(NamedTuple):
    """How tokens lie in an input.

    Attributes:
        prefix: tokens in front that are no piece of the input.
        cells: rows and columns of the patches; None where tokens are no patches of a picture.
    """

    prefix: int
    cells: tuple[int, int] | None


def find_token_layout(tokens: int, x: Batch, who: str) -> _TokenLayout:
    """Work out from the number of tokens how they lie in an input.

    In a picture several patch sizes may be possible: the one is taken that leaves the fewest tokens in front.

    Raises:
        ValueError: no patch size fits; or `x` is no picture and the tokens are not the pieces on its second axis.
    """
    if x.ndim != 4:
        pieces = x.shape[1]
        prefix = tokens - pieces
        require(0 <= prefix <= PREFIX, f"{who}: tokens must be the {pieces} pieces of the input", tokens)
        return _TokenLayout(prefix, None)
    H, W = x.shape[2:]
    layouts = []
    for side in range(1, min(H, W) + 1):
        rows = H // side
        columns = W // side
        prefix = tokens - rows * columns
        if (rows * side, columns * side) != (H, W):
            continue
        if 0 <= prefix <= PREFIX and 2 * prefix < tokens:  # most tokens are pieces
            layouts.append(_TokenLayout(prefix, (rows, columns)))
    rule = f"{who}: tokens must be square patches of the picture {H} x {W}"
    require(bool(layouts), rule, f"{tokens} tokens")
    return min(layouts, key=lambda layout: layout.prefix)


def place_tokens_on_input(attributions: Float[Tensor, "B N"], x: Batch, who: str) -> Attribution:
    """Put each token's attribution where its piece of the input lies; those of the tokens in front are left out."""
    prefix, cells = find_token_layout(attributions.shape[1], x, who)
    pieces = attributions[:, prefix:].to(x)
    if cells is None:
        return align_to_inputs(pieces, x)
    rows, _ = cells
    side = x.shape[2] // rows
    patches = pieces.unflatten(1, (1, *cells))
    return patches.repeat_interleave(side, 2).repeat_interleave(side, 3)
