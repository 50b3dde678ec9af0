"""Words are drawn in order, each on the colour of its number."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xnb import plot

WORDS = ["not", "good", ",", "##ing"]


@pytest.fixture
def ax():
    return Figure(figsize=(8, 2)).subplots()


def boxes(ax):
    """Column, line and length of each word's box."""
    return [(box.get_x(), round(box.get_y() - 0.1), box.get_width()) for box in ax.patches]


def test_words_stand_in_order_and_lines_are_broken_between_them(ax):
    plot.tokens(WORDS, np.zeros(4), ax, line_length=10)
    assert [text.get_text() for text in ax.texts] == WORDS
    assert boxes(ax) == [(0, 0, 3), (4, 0, 4), (9, 0, 1), (0, 1, 5)]
    assert ax.get_ylim() == (2, 0)


def test_a_word_longer_than_a_line_has_a_line_of_its_own(ax):
    plot.tokens(["a", "b" * 12, "c"], np.zeros(3), ax, line_length=10)
    assert [line for _, line, _ in boxes(ax)] == [0, 1, 2]


def test_each_word_has_the_colour_of_its_number_on_a_symmetric_scale(ax):
    plot.tokens(WORDS, np.array([-2.0, 1.0, 0.0, 0.0]), ax)
    colours = mpl.colormaps["RdBu_r"]
    for box, share in zip(ax.patches, (0.0, 0.75, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(box.get_facecolor(), colours(share))
    assert [text.get_color() for text in ax.texts] == ["white", "black", "black", "black"]
    assert [label.get_text() for label in ax.figure.axes[1].get_yticklabels()] == ["-2", "0", "2"]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4, 3), (4, 3)])
def test_numbers_of_embeddings_are_summed(shape, ax):
    a = torch.rand(shape, requires_grad=True)
    plot.tokens(WORDS, a, ax, limit=3.0)
    sums = a.detach().reshape(4, -1).sum(1)
    red = mpl.colormaps["RdBu_r"]((sums.numpy() / 3 + 1) / 2)
    np.testing.assert_allclose([box.get_facecolor() for box in ax.patches], red)


def test_letters_of_a_full_line_fit_into_the_axes(ax):
    plot.tokens(["x" * 60], [1.0], ax, line_length=60)
    ax.figure.canvas.draw()
    assert ax.texts[0].get_window_extent().width < ax.get_window_extent().width


def test_another_number_of_words_is_refused(ax):
    with pytest.raises(ValueError, match="one number a word, 4 of them"):
        plot.tokens(WORDS, np.zeros(3), ax)


def test_no_words_are_an_empty_drawing(ax):
    plot.tokens([], np.zeros(0), ax)
    assert not ax.texts
