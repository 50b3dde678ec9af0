"""What a metric reads of a map is what is drawn: the star, the positive part, the K largest, two histograms."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from xnb import plot


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def a():
    """Two channels that add up to 0 ... 15, less 3."""
    heat = np.arange(16.0).reshape(4, 4) - 3
    return np.stack([heat - 1, np.ones((4, 4))])


@pytest.fixture
def mask():
    inside = np.zeros((1, 4, 4), dtype=bool)
    inside[0, 3, 1:] = True
    return inside


def heat_of(ax):
    return np.asarray(ax.images[-1].get_array())


def test_star_on_the_largest_value(a, mask, ax):
    plot.reading("pointing_game", a, ax, mask=mask)
    [star] = [line for line in ax.lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (3, 3)


def test_positive_part(a, mask, ax):
    plot.reading("energy_pointing", a, ax, mask=mask)
    assert (heat_of(ax) == a.sum(0).clip(min=0)).all()


def test_as_many_as_the_mask_has(a, mask, ax):
    plot.reading("relevance_rank", a, ax, mask=mask)
    assert (heat_of(ax) == mask[0]).all()


def test_values_inside_and_outside(a, mask, ax):
    plot.reading("auc", a, ax, mask=mask)
    densities = [sum(bar.get_height() * bar.get_width() for bar in bars) for bars in ax.containers]
    assert densities == pytest.approx([1, 1])


def test_what_has_no_picture_is_refused(a, mask, ax):
    with pytest.raises(ValueError, match="there is no picture of what this metric reads"):
        plot.reading("sparseness", a, ax, mask=mask)


def test_two_curves(ax):
    plot.removal_gap([3, 1, 0], [3, 2, 0], ax)
    solid, dashed = ax.lines
    assert (list(solid.get_ydata()), list(dashed.get_ydata())) == ([3, 1, 0], [3, 2, 0])
    assert list(solid.get_xdata()) == [0, 0.5, 1]


def test_a_dot_for_each_part(ax):
    plot.forecast([1, 2, 3], [0.1, 0.3, 0.2], ax)
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
