"""Maps of texts: which words speak for a class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import require
from xnb.plot.pictures import hide_axes
from xnb.plot.scale import SIGNED, choose_scale, drop_batch_axis, find_colours, read_numbers, write_scale

_LETTER = 0.62  # width of a letter of a fixed-width font, as a share of its height
_DARK = 0.45  # luminance below which letters are white


def tokens(
    words: Sequence[str],
    a: ArrayLike | Tensor,
    ax: Axes,
    *,
    limit: float | None = None,
    line_length: int = 60,
    title: str = "",
    colorbar: bool = True,
) -> Axes:
    """Draw the words of a text, each on the colour of its attribution: red speaks for the class, blue against it.

    Args:
        words: or pieces of words, as a tokenizer names them.
        a: one number a word, `(T,)`; `(T, D)`, as of embeddings, is summed over the last axis.
        limit: end of the colour scale; the largest magnitude if omitted.
        line_length: letters in a line.
    """
    values = _read_word_values(a, len(words))
    scale = choose_scale(values, limit)
    colours = ScalarMappable(Normalize(-scale.end, scale.end), find_colours(SIGNED))
    places = _place_words(words, line_length)
    lines = max((line for line, _ in places), default=0) + 1
    ax.set(xlim=(0, line_length), ylim=(lines, 0))
    # Places are counted in letters, so that letters must be as wide as their place.
    size = _letter_size(ax, line_length)
    for word, (line, start), colour in zip(words, places, colours.to_rgba(values), strict=True):
        _draw_word(word, line, start, colour, size, ax)
    write_scale(colours, scale, ax, colorbar)
    return hide_axes(ax, title)


def _read_word_values(a: ArrayLike | Tensor, count: int) -> NDArray[np.float64]:
    """One number a word."""
    numbers = drop_batch_axis(read_numbers(a, "an attribution of words"), 2)
    values = numbers.sum(1) if numbers.ndim == 2 else numbers
    require(values.shape == (count,), f"plot: one number a word, {count} of them", numbers.shape, "a[0]")
    return values


def _place_words(words: Sequence[str], line_length: int) -> list[tuple[int, int]]:
    """Line and first column of each word; a word that does not fit begins the next line."""
    places = []
    line = column = 0
    for word in words:
        if column and column + len(word) > line_length:
            line += 1
            column = 0
        places.append((line, column))
        column += len(word) + 1
    return places


def _letter_size(ax: Axes, line_length: int) -> float:
    """Height of letters, in points, with which a full line is as wide as the axes."""
    width = ax.get_window_extent().width / ax.figure.dpi * 72
    # 0.85: a colour bar and its numbers take their room from the axes later on
    return min(0.85 * width / (line_length * _LETTER), 11.0)


def _draw_word(
    word: str,
    line: int,
    start: int,
    colour: NDArray,
    size: float,
    ax: Axes,
) -> None:
    """Draw a word on its colour, in white where the colour is dark."""
    ax.add_patch(Rectangle((start, line + 0.1), len(word), 0.8, facecolor=colour))
    luminance = float(np.dot(colour[:3], (0.299, 0.587, 0.114)))
    ink = "white" if luminance < _DARK else "black"
    middle = start + len(word) / 2
    ax.text(middle, line + 0.5, word, color=ink, fontsize=size, family="monospace", ha="center", va="center")
