"""A network, layer by layer.

Tests: xnb.widgets.layer_view, xnb.widgets.anatomy
"""

import numpy as np
import pytest
import torch
from widget_cases import PANELS, html_of, shapes, trained_net

from xnb.widgets import anatomy, layers, pixels
from xnb.widgets.explained import prepare_subject


def test_filters_of_colour_and_of_many_channels():
    colours = anatomy.draw_filters(trained_net(), "stage1.0.0")
    assert colours.shape[0] >= 200
    strongest = anatomy.draw_filters(trained_net(), "stage2.0.0")
    assert strongest is not None
    assert anatomy.draw_filters(trained_net(), "stage1.0.2") is None


def test_every_channel_is_shown_on_one_scale():
    values = torch.zeros(4, 2, 2)
    values[3] = 2.0
    sheet = anatomy.draw_channels(values)
    red = (sheet == pixels.signed_colours([1.0], 1.0)[0]).all(2).mean()
    assert 0.1 < red < 0.25


def test_a_layer_sees_what_it_must():
    subject = prepare_subject(trained_net(), shapes())
    assert anatomy.receptive_field_size(subject, "stage1.0.0") == (3, 3)
    assert anatomy.receptive_field_size(subject, "stage1.1.add") == (7, 7)
    values = torch.zeros(1, 32, 32)
    values[0, 10, 20] = 1
    rgb = anatomy.draw_receptive_field(subject, 0, values, (3, 3))
    line = (rgb == pixels.OUTLINE_COLOUR).all(2)
    rows, columns = np.nonzero(line)
    assert (rows.min() // 8, columns.min() // 8) == (8, 18)
    assert anatomy.window_slice(1.0, 7, 32) == slice(0, 5)


def test_every_row_of_the_table_can_be_looked_at():
    panel = PANELS["layers"]()
    for name in ("stage3.1.relu2", "pool", "flatten", "head"):
        panel.controls["layer"].value = name
        assert 'role="alert"' not in html_of(panel), name
        assert (panel.areas["says"].value == "") == (name != "stage3.1.relu2")


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="layers: no row of that name"):
        layers(trained_net(), shapes(), layer="stage9")
