"""Signals and volumes are drawn with their numbers and one scale."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xnb import plot


@pytest.fixture
def ax():
    return Figure().subplots()


def test_one_channel_is_a_line_in_its_own_unit(ax):
    x = torch.tensor([[0.0, 10.0, 5.0]])
    plot.signal(x, torch.tensor([[1.0, 0.0, -3.0]], requires_grad=True), ax, title="beat")
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 10], [2, 5]]
    assert ax.images[0].get_array().tolist() == [[1, 0, -3]]
    assert ax.images[0].get_clim() == (-3, 3)
    assert list(ax.images[0].get_extent()) == [-0.5, 2.5, -0.5, 10.5]
    assert (ax.get_title(), ax.get_xlabel()) == ("beat", "step")


def test_channels_stand_below_each_other_each_in_its_own_range(ax):
    """A line lies between 0.1 and 0.9 of its row, the largest value on top; rows are counted downwards."""
    x = np.array([[0.0, 2.0], [7.0, 7.0], [-1.0, -3.0]])
    plot.signal(x, np.array([[1.0, 2.0]]), ax)
    lines = np.array([line.get_ydata() for line in ax.lines])
    np.testing.assert_allclose(lines, [[0.9, 0.1], [1.9, 1.9], [2.1, 2.9]])
    assert list(ax.images[0].get_extent()) == [-0.5, 1.5, 3, 0]
    assert ax.get_ylim() == (3, 0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]


def test_of_many_steps_the_strongest_of_a_column_is_shown(ax):
    """16,000 steps in columns of 54: step 7,000 lies in the 129th."""
    a = np.zeros(16_000)
    a[7_000], a[7_001] = 2, -5
    plot.signal(np.zeros(16_000), a, ax)
    shown = ax.images[0].get_array()
    assert shown.shape == (1, 297)
    assert np.flatnonzero(shown).tolist() == [7_000 // 54]
    assert shown.min() == -5


@pytest.mark.parametrize(("x", "a"), [((3, 8), (2, 8)), ((1, 8), (1, 7)), ((2, 1, 8), (1, 8)), ((1, 8), (1, 1, 1, 8))])
def test_signals_that_do_not_fit(x, a, ax):
    with pytest.raises(ValueError, match="signal is"):
        plot.signal(np.zeros(x), np.zeros(a), ax)


def test_the_slices_that_hold_most_are_drawn_in_order():
    """Of the magnitude of 8, slice 4 holds 5 and slice 1 holds 2: 62 % and 25 %."""
    a = np.zeros((2, 6, 3, 4))
    a[0, 4, 0, 0], a[1, 4, 0, 0], a[0, 1, 2, 2], a[0, 0, 1, 1] = -6, 1, 2, 1
    volume = np.arange(72.0).reshape(1, 6, 3, 4)
    figure = plot.slices(volume, a, Figure(), count=2)
    first, second = figure.axes[:2]
    assert [first.get_title(), second.get_title()] == ["depth 1: 25%", "depth 4: 62%"]
    grey, heat = second.images
    np.testing.assert_array_equal(grey.get_array(), volume[0, 4])
    assert grey.get_clim() == (0, 71)
    assert heat.get_array()[0, 0] == -5
    assert heat.get_clim() == first.images[1].get_clim() == (-5, 5)
    assert heat.get_alpha()[0, 0] == 1
    assert heat.get_alpha()[1, 1] == 0


def test_empty_slices_are_left_out_and_the_middle_stands_for_an_empty_map():
    a = np.zeros((3, 2, 2))
    titles = [ax.get_title() for ax in plot.slices(np.zeros((3, 2, 2)), a, Figure(), colorbar=False).axes]
    assert titles == ["depth 1: 0%"]
    a[2, 0, 0] = a[0, 0, 0] = 1
    titles = [ax.get_title() for ax in plot.slices(np.zeros((3, 2, 2)), a, Figure()).axes]
    assert titles == ["depth 0: 50%", "depth 2: 50%", ""]


def test_a_coarse_map_of_a_volume_lies_in_the_middle_of_what_it_stands_for():
    """Two slices of a map for eight of a volume: the second stands for 4 to 7, and is drawn over 6."""
    volume = np.arange(8.0)[:, None, None] * np.ones((8, 6, 6))
    a = torch.zeros(1, 1, 2, 3, 3)
    a[0, 0, 1] = 1
    figure = plot.slices(volume, a, Figure())
    assert figure.axes[0].get_title() == "depth 6: 100%"
    grey, heat = figure.axes[0].images
    assert set(grey.get_array().ravel()) == {6}
    assert list(grey.get_extent()) == list(heat.get_extent()) == [-0.5, 2.5, 2.5, -0.5]


def test_a_volume_may_be_cut_along_each_axis():
    a = np.zeros((3, 4, 5))
    a[1, 2, 3] = 1
    shown = {}
    for axis in (0, 1, 2):
        ax = plot.slices(np.zeros((3, 4, 5)), a, Figure(), axis=axis).axes[0]
        shown[ax.get_title()] = ax.images[1].get_array().shape
    assert shown == {"depth 1: 100%": (4, 5), "row 2: 100%": (3, 5), "column 3: 100%": (3, 4)}


@pytest.mark.parametrize("knobs", [{"axis": 3}, {"count": 0}])
def test_slices_that_there_are_not(knobs):
    with pytest.raises(ValueError, match=f"plot: {next(iter(knobs))} is"):
        plot.slices(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), Figure(), **knobs)


def test_not_a_volume():
    with pytest.raises(ValueError, match=r"a volume is \(C, D, H, W\)"):
        plot.slices(np.zeros((2, 2)), np.zeros((3, 2, 2)), Figure())
