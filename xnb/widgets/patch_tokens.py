"""Which token of an attention stands for which patch of a picture: seen in the model, not counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xnb.access.attention.attention_capture import AttentionCapture
from xnb.check import refuse
from xnb.methods.attention_pass import gradient_at, readout_shares
from xnb.methods.seen_attention import TokenKnobs, see_attention
from xnb.methods.token_layout import TokenLayout
from xnb.types import Batch
from xnb.widgets.explained import Subject

_METHOD = "raw_attention"  # which reads the same weights, so that its refusals hold here too


@dataclass(frozen=True, eq=False)
class PatchTokens:
    """What the tokens stand for that one attention reads.

    Attributes:
        owner: number of the token whose patch each pixel lies in, -1 where no token reads it.
        grid: numbers of the tokens that are patches, row by row of the picture.
        count: how many tokens there are.
        classes: numbers of the class tokens: those without a patch that the score reads, where it reads no others.
    """

    owner: Int[Tensor, "H W"]
    grid: Int[Tensor, "rows columns"]
    count: int
    classes: tuple[int, ...] = ()

    @property
    def others(self) -> list[int]:
        """Numbers of the tokens that stand for no patch."""
        patches = set(self.grid.flatten().tolist())
        return [token for token in range(self.count) if token not in patches]

    def name(self, token: int) -> str:
        """Row and column of a patch, or what is known of a token that is none."""
        if token not in self.others:
            row, column = (self.grid == token).nonzero()[0].tolist()
            return f"row {row + 1}, column {column + 1}"
        if token in self.classes:
            number = "" if len(self.classes) == 1 else f" {self.classes.index(token) + 1}"
            return f"the class token{number}"
        if self.classes:  # a token that is neither a patch nor read in the end only takes notes
            registers = [other for other in self.others if other not in self.classes]
            return f"register {registers.index(token) + 1}"
        return f"token {token + 1}, no patch"

    def at_place(self, down: float, right: float) -> int | None:
        """The token whose patch lies there, in shares of the picture's height and width."""
        H, W = self.owner.shape
        token = int(self.owner[int(down * H), int(right * W)])
        return None if token < 0 else token

    def mark_pixels(self, token: int) -> Bool[NDArray, "H W"]:
        """The pixels of a token's patch, none if it has none."""
        return (self.owner == token).cpu().numpy()

    def put_on_picture(self, row: Float[NDArray, " count"]) -> Float[NDArray, "H W"]:
        """The number of each token at the pixels of its patch, 0 where there is none."""
        with_none = np.append(row, 0)  # the last one, number -1, is of no token
        return with_none[self.owner.cpu().numpy()]


@dataclass(frozen=True, eq=False)
class SeenLayers:
    """The attentions of a model that are over tokens.

    Attributes:
        over_tokens: for each attention that runs, whether it is.
        layouts: for each of these, how the tokens that it reads lie in an input.
        read: numbers of the queries of the last one that the score reads.
    """

    over_tokens: list[bool]
    layouts: list[TokenLayout]
    read: tuple[int, ...]

    def are_of_instances(self) -> bool:
        """Whether the tokens are the instances of a bag (B, N, C, H, W)."""
        owner = self.layouts[-1].owner
        return owner.ndim == 4 and owner[0].numel() == 1


def see_layers(subject: Subject, knobs: TokenKnobs) -> SeenLayers:
    """Look at what attention does to the first input.

    Args:
        knobs: `special` tokens and the side of a `patch`, where they cannot be seen.

    Raises:
        ValueError: as `xnb.METHODS["raw_attention"]`.
    """
    seen = see_attention(subject.module, subject.x, _METHOD)
    shapes, read = _watch_attention(subject, seen.over_tokens)
    layouts = [seen.find_layout(shape[3], _METHOD, knobs) for shape in shapes]
    queries, keys = shapes[-1][2:]
    of_tokens = queries == keys  # else the numbers of queries are not those of tokens
    return SeenLayers(seen.over_tokens, layouts, tuple(read) if of_tokens else ())


def _watch_attention(subject: Subject, over_tokens: Sequence[bool]) -> tuple[list[torch.Size], list[int]]:
    """Shapes of the weights `(1, h, N, M)` over tokens, and which rows of the last ones the score reads."""
    capture = AttentionCapture(1)

    def observed(x: Batch) -> Tensor:
        with capture:
            return subject.module(x)

    target = subject.target_of(subject.predicted_class(0))
    with subject.run_input(0) as x:
        gradients = gradient_at(observed, x, target, capture.weights)
    of_tokens = list(compress(gradients, over_tokens))
    shares = readout_shares(of_tokens[-1])[0]
    return [gradient.shape for gradient in of_tokens], shares.nonzero().flatten().tolist()


def find_patches(subject: Subject, layers: SeenLayers) -> list[PatchTokens]:
    """What the tokens of each layer stand for in a picture.

    Raises:
        ValueError: inputs are no pictures, or tokens no cells of them.
    """
    places = [_find_patches(subject, layout) for layout in layers.layouts]
    last = places[-1]
    if not set(layers.read) <= set(last.others):
        return places
    return [replace(place, classes=layers.read) if place.count == last.count else place for place in places]


def _find_patches(subject: Subject, layout: TokenLayout) -> PatchTokens:
    """What the tokens of one layer stand for."""
    x = subject.x
    grid = layout.grid
    if x.ndim != 4 or grid is None:
        rule = "attention: inputs must be bags, or pictures (B, C, H, W) with tokens that are cells of them"
        refuse(rule, x, "xnb.widgets.explore(model, x, method='raw_attention')")
    return PatchTokens(layout.owner[0].expand(x.shape[2:]), grid, layout.tokens)
