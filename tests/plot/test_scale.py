"""Where the colours of a map end, and what is said of values beyond."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xnb import plot
from xnb.plot.scale import choose_scale, drop_batch_axis, find_colours, read_numbers


def test_a_small_map_ends_at_its_largest_magnitude():
    assert choose_scale(np.array([[1.0, -4.0], [0.0, 2.0]])) == (4.0, "")
    assert choose_scale(np.arange(128 * 128.0)).beyond == ""


def test_a_large_map_ends_at_a_percentile_and_says_so():
    """Of the values 0, 1, ..., 20,000, 99.5 % lie below 19,900, and 100 above."""
    end, beyond = choose_scale(-np.arange(20_001.0))
    assert end == pytest.approx(19_900)
    share = (np.arange(20_001) > 19_900 * 1.001).mean()  # a thousandth more is no clipping
    assert beyond == f"{100 * share:.1f} % beyond, up to 2e+04"


def test_the_percentile_may_be_chosen():
    heat = np.arange(1.0, 102.0)
    assert choose_scale(heat, clip=50.0) == (51.0, "49.5 % beyond, up to 1e+02")
    assert choose_scale(np.arange(20_001.0), clip=100.0) == (20_000.0, "")


def test_a_limit_says_what_lies_beyond_but_for_its_rounding():
    assert choose_scale(np.array([0.12345, 0.5]), 0.25) == (0.25, "50.0 % beyond, up to 0.5")
    assert choose_scale(np.array([0.12345]), 0.1234).beyond == ""


def test_a_map_of_zeros_and_one_of_a_single_pixel_have_a_scale():
    assert choose_scale(np.zeros((2, 2))) == (1.0, "")
    spike = np.zeros(20_000)
    spike[7] = -3
    assert choose_scale(spike) == (3.0, "")


@pytest.mark.parametrize("knobs", [{"limit": 0.0}, {"limit": -1.0}, {"limit": np.nan}, {"clip": 0.0}, {"clip": 101.0}])
def test_no_scale(knobs):
    with pytest.raises(ValueError, match=f"plot: {next(iter(knobs))} must be"):
        choose_scale(np.ones(3), **knobs)


def test_colour_maps_by_name_or_themselves():
    assert find_colours("PuOr").name == "PuOr"
    assert find_colours(mpl.colormaps["PuOr"]).name == "PuOr"
    with pytest.raises(ValueError, match=r"colour map of matplotlib\n  got: 'RdBu_t'\n  try: one of .*RdBu"):
        find_colours("RdBu_t")


def test_numbers_of_anything():
    assert read_numbers(torch.ones(2, requires_grad=True, dtype=torch.bfloat16), "x").tolist() == [1, 1]
    assert drop_batch_axis(np.zeros((1, 2, 3, 4)), 3).shape == (2, 3, 4)
    assert drop_batch_axis(np.zeros((2, 2, 3, 4)), 3).shape == (2, 2, 3, 4)
    with pytest.raises(ValueError, match=r"a map must be finite\n  got: '2 values that are not'"):
        read_numbers([1.0, np.inf, np.nan], "a map")
    with pytest.raises(ValueError, match="a map must hold numbers"):
        read_numbers([[1], [2, 3]], "a map")


def test_the_note_stands_beside_the_bar_or_below_the_map():
    figure = Figure()
    with_bar, without = figure.subplots(1, 2)
    heat = np.arange(1.0, 101.0).reshape(10, 10)
    plot.attribution(heat, with_bar, limit=50.0)
    plot.attribution(heat, without, limit=50.0, colorbar=False)
    bar = figure.axes[2]
    assert bar.get_ylabel() == without.get_xlabel() == "50.0 % beyond, up to 1e+02"
    assert with_bar.get_xlabel() == ""
    assert [text.get_text() for text in bar.get_yticklabels()] == ["-50", "0", "50"]
