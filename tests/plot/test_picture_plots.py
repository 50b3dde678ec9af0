"""A picture is drawn as it is, or refused with the line that makes it one.

Tests: xnb.plot.pictures.
"""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xnb import plot
from xnb.plot.pictures import read_picture


@pytest.fixture
def ax():
    return Figure().subplots()


def test_picture_is_drawn_channels_last(ax):
    x = np.random.default_rng(0).random((3, 4, 5))
    plot.picture(x, ax, title="cat")
    assert np.array_equal(ax.images[0].get_array(), np.moveaxis(x, 0, -1))
    assert ax.get_title() == "cat"


def test_a_batch_of_one_and_a_tensor_of_a_graph_are_pictures(ax):
    x = torch.rand(1, 3, 4, 5, requires_grad=True)
    plot.picture(x, ax)
    np.testing.assert_allclose(ax.images[0].get_array(), x[0].detach().permute(1, 2, 0))


@pytest.mark.parametrize(
    ("x", "says", "hint"),
    [
        (np.zeros((4, 4)), "channels", r"x\[None\]"),
        (np.zeros((4, 4, 3)), "channels", r"np.moveaxis\(x, -1, 0\)"),
        (np.zeros((5, 4, 4)), "channels", r"x.mean\(0, keepdims=True\)"),
        (np.zeros((2, 3, 4, 4)), "channels", r"x\[0\]"),
        (np.full((1, 2, 2), 90.0), r"lies in \[0, 1\]", "x / 255"),
        (np.full((3, 2, 2), -2.1), r"lies in \[0, 1\]", r"plot.picture\(x, ax, mean=\(0.485"),
        (np.full((3, 2, 2), 2.6), r"lies in \[0, 1\]", r"plot.picture\(x, ax, mean=\(0.485"),
        (np.full((3, 2, 2), np.nan), "finite", "nan_to_num"),
        ("cat.png", "numbers", "decode_image"),
    ],
)
def test_not_a_picture(x, says, hint, ax):
    with pytest.raises(ValueError, match=rf"{says}[^\n]*\n  got: .*\n  try: .*{hint}"):
        plot.picture(x, ax)
    assert not ax.images


@pytest.mark.parametrize(
    ("shape", "mend"),
    [
        ((4, 6), lambda x: x[None]),
        ((4, 6, 3), lambda x: np.moveaxis(x, -1, 0)),
        ((5, 4, 6), lambda x: x.mean(0, keepdims=True)),
        ((2, 3, 4, 6), lambda x: x[0]),
    ],
)
def test_each_advice_makes_a_picture(shape, mend):
    assert read_picture(mend(np.full(shape, 0.5))).shape[1:] == (4, 6)


def test_normalisation_is_taken_back(ax):
    """x * std + mean, a channel at a time: 2 * 0.229 + 0.485 = 0.943 in the first."""
    x = np.full((3, 2, 2), 2.0)
    plot.picture(x, ax, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    np.testing.assert_allclose(ax.images[0].get_array()[0, 0], [0.943, 0.904, 0.856])
    np.testing.assert_allclose(read_picture(np.full((1, 2, 2), -1.0), 127 / 255, 0.25), 127 / 255 - 0.25)


def test_what_resizing_pushed_out_is_cut_off():
    assert read_picture(np.array([[[-0.09, 1.09]]])).tolist() == [[[0, 1]]]
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        read_picture(np.array([[[-0.11, 1.0]]]))


def test_a_mean_for_other_channels_is_refused():
    with pytest.raises(ValueError, match="one for each of 1 channels"):
        read_picture(np.zeros((1, 2, 2)), (0.1, 0.2, 0.3))
