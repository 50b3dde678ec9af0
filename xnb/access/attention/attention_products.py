"""Products of two tensors, in whatever order and notation, as weights `(..., N, M)` of values `(..., M, d)`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PRODUCTS = {"matmul", "__matmul__", "bmm", "mm", "einsum"}


@dataclass(frozen=True)
class Factor:
    """One of the two tensors that are multiplied.

    Attributes:
        tensor: as the function got it.
        letters: the name of each of its axes; axes of the two factors with the same letter are multiplied.
    """

    tensor: Tensor
    letters: str

    def axis(self, letter: str) -> int:
        """Where the axis of that letter lies."""
        return self.letters.index(letter)


@dataclass(frozen=True)
class Product:
    """A product that sums over one axis.

    Attributes:
        first: the factor that was written first.
        second: the other one.
        out: letters of what comes out.
        summed: letter of the axis that is summed over.
        run: multiplies other tensors in the place of the two factors.
    """

    first: Factor
    second: Factor
    out: str
    summed: str
    run: Callable[[Tensor, Tensor], Tensor]

    def own_letters(self, factor: Factor) -> str:
        """Letters of axes that only this factor has."""
        other = self.second if factor is self.first else self.first
        return "".join(letter for letter in factor.letters if letter not in other.letters)

    def other(self, factor: Factor) -> Factor:
        """The factor that this one is multiplied with."""
        if factor is self.first:
            return self.second
        return self.first

    def run_with(self, factor: Factor, tensor: Tensor) -> Tensor:
        """The product with another tensor in the place of a factor."""
        if factor is self.first:
            return self.run(tensor, self.second.tensor)
        return self.run(self.first.tensor, tensor)

    def head_letters(self, weights: Factor) -> tuple[str, str]:
        """Letters of the axes of weights that are inputs and heads, and that of their queries; a dash where none is."""
        own = self.own_letters(weights)
        return self.shared_letters() + own[:-1], own[-1:] or "-"

    def shared_letters(self) -> str:
        """Letters of the axes that both factors have and that stay: inputs, heads."""
        letters = self.first.letters
        return "".join(letter for letter in letters if letter in self.second.letters and letter != self.summed)


def read_product(function: Callable, args: tuple, kwargs: Any) -> Product | None:
    """The product that a function is about to make; None where it makes none of two tensors that sums over one axis."""
    if function.__name__ not in PRODUCTS or kwargs:
        return None
    if function.__name__ == "einsum":
        return _read_einsum(function, args)
    first, second = args
    if first.ndim < 2 or second.ndim < 2:
        return None
    # torch aligns axes from the last: small letters are those that both have, capitals those of the longer alone
    shared = min(first.ndim, second.ndim) - 2
    outer = "abcdefgh"[:shared]
    extra = "ABCDEFGH"[: abs(first.ndim - second.ndim)]
    left = Factor(first, (extra if first.ndim > second.ndim else "") + outer + "nm")
    right = Factor(second, (extra if second.ndim > first.ndim else "") + outer + "mk")
    return Product(
        left,
        right,
        extra + outer + "nk",
        "m",
        lambda one, two: function(one, two),
    )


def _read_einsum(function: Callable, args: tuple) -> Product | None:
    """The product of an `einsum` with two factors, written with letters."""
    equation, *tensors = args
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = list(tensors[0])
    # written with lists of axes, or without what comes out, it is so rare that it may be refused
    if not isinstance(equation, str) or len(tensors) != 2 or "->" not in equation:
        return None
    terms, out = equation.replace(" ", "").split("->")
    letters = terms.split(",")
    sizes = [tensor.ndim for tensor in tensors]
    letters = [_name_dots(term, ndim) for term, ndim in zip(letters, sizes, strict=True)]
    dots = max((_count_dots(term, ndim) for term, ndim in zip(terms.split(","), sizes, strict=True)), default=0)
    out = out.replace("...", _DOTS[:dots])
    first, second = (Factor(tensor, term) for tensor, term in zip(tensors, letters, strict=True))
    summed = [letter for letter in first.letters if letter in second.letters and letter not in out]
    if len(summed) != 1:
        return None
    return Product(first, second, out, summed[0], lambda one, two: function(equation, one, two))


_DOTS = "0123456789"  # names of axes behind three dots: no letter of an equation


def _count_dots(term: str, ndim: int) -> int:
    """How many axes the three dots of a term stand for."""
    if "..." in term:
        return ndim - len(term.replace("...", ""))
    return 0


def _name_dots(term: str, ndim: int) -> str:
    """A term with a name for each axis that its dots stand for."""
    return term.replace("...", _DOTS[: _count_dots(term, ndim)])


def order_axes(factor: Factor, letters: str) -> Tensor:
    """The tensor of a factor with its axes in the order of the letters; an axis that it lacks has length 1."""
    present = [letter for letter in letters if letter in factor.letters]
    tensor = factor.tensor.permute([factor.axis(letter) for letter in present])
    for position, letter in enumerate(letters):
        if letter not in factor.letters:
            tensor = tensor.unsqueeze(position)
    return tensor


def restore_axes(tensor: Tensor, factor: Factor, letters: str) -> Tensor:
    """What `order_axes` made, back in the order and shape of the factor."""
    present = [letter for letter in letters if letter in factor.letters]
    sizes = [factor.tensor.shape[factor.axis(letter)] for letter in present]
    back = [present.index(letter) for letter in factor.letters]
    return torch.reshape(tensor, sizes).permute(back)
