"""Which token of a Transformer stands for which piece of its input.

It is seen, not guessed: the slope of the tokens that enter the first attention says which values of the input each
reads. A token that reads nothing, as a class token, or everything, as a mean token, is no piece. A slope says it for
one input: a token behind a ReLU that lets nothing through reads its piece of another one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xnb.access.ledger import add_passes
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import refuse, require
from xnb.methods.token_cells import find_cells
from xnb.types import Attribution, Batch

Special = Sequence[int] | None
Patch = int | tuple[int, int] | None
ReadTokens = Callable[[Batch], Float[Tensor, "N D"]]  # of one input, on the graph that leads to it


class TokenLayout(NamedTuple):
    """How tokens lie in an input.

    Attributes:
        owner: number of the token whose piece each value of an input lies in, -1 where no token reads it. Axes of
            the input along which it never changes have length 1.
        tokens: how many tokens there are.
    """

    owner: Int[Tensor, "*#shape"]
    tokens: int

    @property
    def pieces(self) -> Int[Tensor, " n"]:
        """Numbers of the tokens that stand for a piece of the input, in ascending order."""
        numbers = self.owner.unique()
        return numbers[numbers >= 0]

    @property
    def grid(self) -> Int[Tensor, "rows columns"] | None:
        """Numbers of the tokens of a picture, row by row; None where they are no cells of one."""
        if self.owner.ndim != 3 or len(self.owner) != 1:
            return None
        picture = self.owner[0]
        # A row or column of pixels begins a row or column of tokens where it differs from the one before it.
        begins_row = torch.cat([picture.new_ones(1), (picture[1:] != picture[:-1]).any(1)])
        begins_column = torch.cat([picture.new_ones(1), (picture[:, 1:] != picture[:, :-1]).any(0)])
        cells = picture[begins_row.bool()][:, begins_column.bool()]
        cells = cells[(cells >= 0).any(1)][:, (cells >= 0).any(0)]  # without a margin that no token reads
        return cells if cells.numel() == len(self.pieces) else None


def place_tokens_on_input(attributions: Float[Tensor, "B N"], x: Batch, layout: TokenLayout) -> Attribution:
    """Put each token's attribution where its piece of the input lies; those of tokens without a piece are left out."""
    nothing = attributions.new_zeros(len(attributions), 1)
    with_none = torch.cat([attributions, nothing], 1)  # the last one, number -1, is of no token
    owner = layout.owner.to(attributions.device)
    return with_none[:, owner.flatten()].unflatten(1, owner.shape).to(x)


def find_token_layout(
    tokens: Float[Tensor, "N D"],
    x: Batch,
    who: str,
    special: Special = None,
    patch: Patch = None,
    *,
    read_tokens: ReadTokens,
) -> TokenLayout:
    """Find out how tokens lie in an input, from which values of it each of them reads.

    Args:
        tokens: of one input, on the graph that leads to it, before any of them read another.
        x: that input, `(1, *shape)`, a leaf.
        read_tokens: the same tokens of another input: where some read nothing of this one, they are asked again.
        special: numbers of the tokens that are no piece; None finds them.
        patch: side of a patch, or its height and width; None finds it.

    Raises:
        ValueError: several tokens read the same values and lie on no grid, or what is stated does not fit.
    """
    reads = _Dependence(tokens, x, read_tokens)
    if special is not None or patch is not None:
        return _state_token_layout(reads, who, special, patch)
    every = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
    owner = reads.find_owners(every)
    if owner is None or _leaves_some_out(owner, len(tokens)):
        reads.look_again()  # a unit that is switched off at one input hides what it reads
    if owner is not None and len(reads.looks) > 1:
        owner = _join_owners(owner, reads.find_owners(every, reads.looks[1:]))
    if owner is None:
        owner = _separate(reads, who)
    require(bool((owner >= 0).any()), f"{who}: tokens must depend on the input", "none does", FORWARD_ONLY)
    return TokenLayout(_merge_shared_axes(owner), len(tokens))


def _leaves_some_out(owner: Int[Tensor, "*shape"], tokens: int) -> bool:
    """Whether a token reads nothing, or a value is read by none."""
    pieces = owner[owner >= 0].unique()
    return len(pieces) < tokens or bool((owner < 0).any())


def _join_owners(first: Int[Tensor, "*shape"], second: Int[Tensor, "*shape"] | None) -> Int[Tensor, "*shape"] | None:
    """Owners by two looks together; None where they name two tokens for one value."""
    if second is None or ((first >= 0) & (second >= 0) & (first != second)).any():
        return None
    return torch.where(first < 0, second, first)


class _Look(NamedTuple):
    """Tokens of one input, on the graph that leads to it."""

    tokens: Float[Tensor, "N D"]
    x: Batch


class _Dependence:
    """Which values of an input tokens depend on, from slopes."""

    def __init__(self, tokens: Float[Tensor, "N D"], x: Batch, read_tokens: ReadTokens) -> None:
        self.tokens = tokens
        self.x = x
        self.read_tokens = read_tokens
        self.looks = [_Look(tokens, x)]
        # slopes along random directions: no value that is read drops out of all of them
        generator = torch.Generator("cpu").manual_seed(0)
        directions = torch.randn(tokens.shape, generator=generator, dtype=torch.double, device="cpu")
        self.directions = directions.to(tokens)

    def look_again(self) -> None:
        """Take the slopes at noise too, and at its mirror image: behind a ReLU what one hides the other shows."""
        if len(self.looks) > 1 or not self.tokens.requires_grad:
            return
        generator = torch.Generator("cpu").manual_seed(1)
        noise = torch.rand(self.x.shape, generator=generator, dtype=torch.double, device="cpu").to(self.x)
        # Within the range of the input: what looks values up may have no place for others.
        low, high = self.x.detach().aminmax()
        high = torch.where(high > low, high, low + 1)
        self._look_at(torch.lerp(low, high, noise))
        self._look_at(torch.lerp(high, low, noise))

    def _look_at(self, x: Batch) -> None:
        leaf = x.requires_grad_()
        tokens = self.read_tokens(leaf)
        # Of another input there may be another number of tokens, as where some are dropped: it says nothing then.
        if tokens.shape == self.tokens.shape and tokens.requires_grad:
            self.looks.append(_Look(tokens, leaf))

    def of(self, group: Bool[Tensor, " N"], looks: Sequence[_Look] | None = None) -> Bool[Tensor, "*shape"]:
        """The values that at least one token of a group reads, by these looks or all."""
        read = torch.zeros_like(self.x[0], dtype=torch.bool)
        if not self.tokens.requires_grad:
            return read
        weights = self.directions * group[:, None]
        for tokens, x in looks or self.looks:
            (slope,) = torch.autograd.grad(tokens, x, weights, retain_graph=True, allow_unused=True)
            if slope is not None:
                add_passes(backward=1)
                read = read | (slope[0] != 0)
        return read

    def find_owners(
        self, among: Bool[Tensor, " N"], looks: Sequence[_Look] | None = None
    ) -> Int[Tensor, "*shape"] | None:
        """For each value, the one token of these that reads it, or -1; None if two of them read the same value.

        Two passes back for each binary digit of the tokens' numbers: those that have it, and those that do not.
        """
        numbers = torch.arange(len(among), device=among.device)
        owner = torch.zeros(self.x.shape[1:], dtype=torch.long, device=among.device)
        read = torch.zeros_like(owner, dtype=torch.bool)
        for digit in range(max(1, (len(among) - 1).bit_length())):
            has = (numbers >> digit) % 2 == 1
            with_digit = self.of(has & among, looks)
            without = self.of(~has & among, looks)
            # two tokens differ in one digit at least, so a value that both read shows here
            if (with_digit & without).any():
                return None
            owner += with_digit.long() << digit
            read = with_digit | without
        return owner.masked_fill(~read, -1)


def _separate(reads: _Dependence, who: str) -> Int[Tensor, "*shape"]:
    """Owners where some tokens read the same values: those that read all are none, the others must lie on a grid."""
    x = reads.x
    numbers = torch.arange(len(reads.tokens), device=x.device)
    # token by token, which takes longer: only where pieces overlap or a token reads them all
    union = reads.of(numbers >= 0)
    total = int(union.sum())
    low = numbers.new_zeros(len(numbers), x.ndim - 1)
    high = torch.zeros_like(low)
    counts = torch.zeros_like(numbers)
    for number in range(len(numbers)):
        where = reads.of(numbers == number).nonzero()
        counts[number] = len(where)
        if len(where):
            low[number], high[number] = where.amin(0), where.amax(0) + 1
    is_piece = (counts > 0) & (counts < total)
    if not is_piece.any():
        _refuse_mixed(who, len(numbers), x, "every token reads all of it")
    owner = reads.find_owners(is_piece)
    if owner is not None:
        return owner
    cells = find_cells(low[is_piece], high[is_piece], x.shape[1:])
    if cells is None:
        _refuse_mixed(who, len(numbers), x, "several tokens read the same values, on no regular grid")
    return numbers[is_piece][cells].masked_fill(cells < 0, -1)


def _refuse_mixed(who: str, tokens: int, x: Batch, got: str) -> NoReturn:
    hint = _write_statement(tokens, x, who) or FORWARD_ONLY
    refuse(f"{who}: each token must read its own piece of the input", got, hint)


def _write_statement(tokens: int, x: Batch, who: str) -> str:
    """A line that states a layout by which these tokens would fit; empty if there is none."""
    sides = range(1, min(x.shape[2:]) + 1) if x.ndim == 4 else ()
    fits = [(tokens - _count_patches(x, (side, side)), side) for side in sides if _divides(x, (side, side))]
    fits = [(front, side) for front, side in fits if 0 <= front < tokens / 2]
    if not fits:
        return ""
    front, side = min(fits)  # the side of a patch that leaves the fewest tokens in front
    special = tuple(range(front))
    return f"xnb.attribute(model, x, target, {who!r}, special={special}, patch={side})"


def _divides(x: Batch, patch: tuple[int, int]) -> bool:
    return x.shape[2] % patch[0] == 0 and x.shape[3] % patch[1] == 0


def _count_patches(x: Batch, patch: tuple[int, int]) -> int:
    return (x.shape[2] // patch[0]) * (x.shape[3] // patch[1])


def _state_token_layout(reads: _Dependence, who: str, special: Special, patch: Patch) -> TokenLayout:
    """The layout that is stated, its other half found.

    Pieces lie row by row in a picture, and along the second axis of all else.
    """
    x = reads.x
    N = len(reads.tokens)
    if special is None:
        special = _find_special(reads)
    # numbers may count from the end, as those of a list
    numbers = [number % N for number in special if -N <= number < N]
    rule = f"{who}: special must be different numbers of the {N} tokens"
    require(len(set(numbers)) == len(special), rule, special, "special=(0,)")
    others = [number for number in range(N) if number not in numbers]
    pieces = torch.tensor(others, dtype=torch.long, device=x.device)
    if x.ndim != 4:
        require(patch is None, f"{who}: patches are of pictures (B, C, H, W)", x, "patch=None")
        fits = len(pieces) == x.shape[1]
        rule = f"{who}: the tokens that are not special must be the {x.shape[1]} pieces of the input"
        require(fits, rule, len(pieces), FORWARD_ONLY)
        return TokenLayout(pieces.view(-1, *[1] * (x.ndim - 2)), N)
    height, width = _find_patch(len(pieces), x, who, patch)
    grid = pieces.view(x.shape[2] // height, x.shape[3] // width)
    owner = grid.repeat_interleave(height, 0).repeat_interleave(width, 1)
    return TokenLayout(owner[None], N)


def _find_special(reads: _Dependence) -> list[int]:
    """Numbers of the tokens that read nothing of the input."""
    reads.look_again()
    numbers = torch.arange(len(reads.tokens), device=reads.x.device)
    return [number for number in range(len(numbers)) if not reads.of(numbers == number).any()]


def _find_patch(pieces: int, x: Batch, who: str, patch: Patch) -> tuple[int, int]:
    """Height and width of a patch; square, if they are not stated."""
    H, W = x.shape[2:]
    if patch is not None:
        height, width = (patch, patch) if isinstance(patch, int) else patch
        divides = height > 0 and width > 0 and _divides(x, (height, width))
        fits = divides and _count_patches(x, (height, width)) == pieces
        require(fits, f"{who}: patches must be {pieces} and cover the picture {H} x {W}", patch, "patch=None")
        return height, width
    # a number of squares that cover a picture has one size; none may fit
    squares = [(side, side) for side in range(1, min(H, W) + 1) if _divides(x, (side, side))]
    found = [square for square in squares if _count_patches(x, square) == pieces]
    rule = f"{who}: {pieces} pieces must be square patches of the picture {H} x {W}"
    require(len(found) == 1, rule, f"{len(found)} sizes that fit", FORWARD_ONLY)
    return found[0]


def _merge_shared_axes(owner: Int[Tensor, "*shape"]) -> Int[Tensor, "*#shape"]:
    """Owners with length 1 for an axis along which they never change; a picture keeps its rows and columns."""
    axes = [0] if owner.ndim == 3 else range(owner.ndim)
    for axis in axes:
        first = owner.narrow(axis, 0, 1)
        if (owner == first).all():
            owner = first
    return owner
