"""What may be said of a published number beside ours: three words, chosen by rules that stand here."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

WITHIN = "within their spread"
SAME = "same sign and order"
NOT = "not reproduced"
_SPREADS = 2  # of a printed deviation, within which numbers are not told apart


class Figure(NamedTuple):
    """A published number, and the deviation that its authors print beside it; 0 where there is none."""

    value: float
    spread: float = 0.0


class Measurement(NamedTuple):
    """Our number with its interval."""

    value: float
    low: float
    high: float


class Judgement(NamedTuple):
    """One of three words, and for the third one what is otherwise."""

    word: str
    because: str = ""


def judge_column(figures: Mapping[str, Figure], measured: Mapping[str, Measurement]) -> dict[str, Judgement]:
    """Return a word for each row of one column of a table.

    * *within their spread*: our interval reaches into two spreads around the published number.
    * *same sign and order*: else, where the sign is the same, and so is the order with every other row; rows that the
      paper does not tell apart by two spreads have no order, a number within two spreads of 0 no sign.
    * *not reproduced*: else, with the first reason that is found.
    """
    return {name: _judge_row(name, figures, measured) for name in figures}


def _judge_row(name: str, figures: Mapping[str, Figure], measured: Mapping[str, Measurement]) -> Judgement:
    figure, ours = figures[name], measured[name]
    reach = _SPREADS * figure.spread
    if ours.low <= figure.value + reach and ours.high >= figure.value - reach:
        return Judgement(WITHIN)
    if abs(figure.value) > reach and np.sign(figure.value) != np.sign(ours.value):
        return Judgement(NOT, f"another sign: {ours.value:.3g} where {figure.value:.3g} is printed")
    for other in figures:
        gap = figure.value - figures[other].value
        differs = abs(gap) > _SPREADS * (figure.spread + figures[other].spread)
        if differs and np.sign(gap) != np.sign(ours.value - measured[other].value):
            side = "below" if gap > 0 else "above"
            return Judgement(NOT, f"another order: {side} {other}")
    return Judgement(SAME)


def count_words(words: list[str]) -> str:
    """Return how often each word was earned, in the order of the words."""
    counts = {word: words.count(word) for word in (WITHIN, SAME, NOT)}
    return " · ".join(f"{word}: {count}" for word, count in counts.items() if count)
