"""Numbers to pixels.

Tests: xnb.widgets.pixels, xnb.widgets.row_bars
"""

import numpy as np
import pytest
import torch

from xnb import plot
from xnb.widgets import pixels, row_bars


def test_signed_colours_are_red_for_blue_against_white_nothing():
    red, white, blue = pixels.signed_colours([1.0, 0.0, -1.0], 1.0).astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert white.min() > 240
    assert (pixels.signed_colours([5.0], 1.0) == red).all()  # beyond the end nothing changes


def test_pictures_are_enlarged_by_whole_numbers_and_never_smoothed():
    assert pixels.display_size(32, 32) == (256, 256)
    assert pixels.display_size(8, 8) == (256, 256)
    assert pixels.display_size(224, 224) == (224, 224)
    x = torch.rand(3, 4, 4)
    rgb = pixels.resize_nearest(pixels.to_rgb(x), (16, 16))
    np.testing.assert_array_equal(rgb[::4, ::4], pixels.to_rgb(x))
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) <= 16


def test_a_picture_that_is_none_is_refused():
    with pytest.raises(ValueError, match="1 or 3 channels"):
        pixels.to_rgb(np.zeros((2, 4, 4)))


def test_the_outline_is_the_border_of_the_mask():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1:3, 1:3] = True
    rgb = pixels.draw_outline(np.zeros((16, 16, 3), dtype=np.uint8), mask)
    line = (rgb == pixels.OUTLINE_COLOUR).all(2)
    assert line[3, 4:12].all()
    assert line[4, 4:12].all()
    assert not line[6:10, 6:10].any()
    assert not line[:3].any()
    empty = pixels.draw_outline(np.zeros((16, 16, 3), dtype=np.uint8), np.zeros((4, 4)))
    assert not empty.any()


def test_the_outline_has_the_colour_of_figures():
    assert "#" + bytes(pixels.OUTLINE_COLOUR).hex() == plot.OUTLINE


def test_opacity_goes_from_the_grey_picture_to_the_map():
    over = np.full((2, 2, 3), 10, dtype=np.uint8)
    under = np.full((2, 2, 3), 255, dtype=np.uint8)
    assert (pixels.blend_with_input(over, under, 1.0) == over).all()
    assert (pixels.blend_with_input(over, under, 0.0) == 255).all()


def test_a_montage_keeps_its_tiles():
    tiles = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(5, 2).repeat(3, 3)
    sheet = pixels.montage(tiles, 2)
    assert sheet.shape == (10, 12, 3)
    assert [sheet[0, 0, 0], sheet[0, 7, 0], sheet[6, 0, 0]] == [0, 1, 2]


def test_bars_are_red_above_nothing_and_blue_below():
    plot.style()  # as notebooks have it
    rgb = row_bars.draw_row_bars([1.0, -1.0, 0.0], ["up", "down", "nothing"], 1.0).astype(int)
    red, blue = (np.argwhere((rgb[..., a] - rgb[..., b]) > 60).mean(0) for a, b in ((0, 2), (2, 0)))
    assert red[0] < blue[0]  # the first feature is on top
    assert red[1] > blue[1]


def test_a_small_picture_is_enlarged_by_whole_pixels():
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    large = pixels.enlarge_picture(x)
    side = len(large) // 8
    assert large.shape == (8 * side, 8 * side, 3)
    assert side > 1
    blocks = large.reshape(8, side, 8, side, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    np.testing.assert_allclose(blocks[:, 0, :, 0] / 255, x.permute(1, 2, 0).numpy(), atol=1 / 255)
