"""The rows of a table, each with its maps."""

import numpy as np
import pandas as pd
import pytest
import torch
from widget_cases import PANELS, html_of, shapes

from xnb.widgets import rows
from xnb.widgets.pixels import OUTLINE_COLOUR
from xnb.widgets.rows_view import draw_maps_below


def test_a_row_shows_its_numbers_and_its_maps():
    panel = PANELS["rows"]()
    assert [label for label, _ in panel.controls["row"].options] == ["gradient · 0.50", "occlusion · 1.00"]
    panel.controls["row"].value = "occlusion"
    assert panel.describe().startswith("rows: occlusion")
    page = html_of(panel)
    assert "0.20" in page
    assert "6 pictures, and below each its map by occlusion" in page


def test_a_map_below_each_picture_on_its_own_scale():
    """A map that is 1 on the left half, -2 on the right: pink and full blue, whatever its unit."""
    part = shapes().test[:2]
    part = type(part)(part.x, part.y)
    maps = torch.ones(2, 3, 32, 32) / 3
    maps[..., 16:] = -2 / 3
    picture = draw_maps_below(part, maps)
    assert picture.shape == (2 * 96 + 2, 2 * 96 + 2, 3)
    np.testing.assert_array_equal(picture, draw_maps_below(part, 10 * maps))
    left, right = picture[150, 10].astype(int), picture[150, 80].astype(int)
    assert left[0] > left[2]
    assert right[2] > right[0]


def test_evidence_is_outlined_where_it_is_known():
    part = shapes().test[:2]
    flat = torch.zeros(2, 3, 32, 32)
    outlined = (draw_maps_below(part, flat) == OUTLINE_COLOUR).all(-1)
    bare = (draw_maps_below(type(part)(part.x, part.y), flat) == OUTLINE_COLOUR).all(-1)
    assert outlined[98:].sum() > bare[98:].sum() == 0


def test_a_row_without_maps_is_refused():
    with pytest.raises(ValueError, match="each row of the table needs its maps\n  got: \\['lrp'\\]"):
        rows(pd.DataFrame({"srg": [1.0]}, ["lrp"]), {}, shapes().test)
