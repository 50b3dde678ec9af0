"""A network, layer by layer.

Tests: xnb.widgets.layer_view, xnb.widgets.anatomy
"""

import numpy as np
import pytest
import torch
from networks import with_seed
from torch import nn
from widget_cases import PANELS, html_of, shapes, trained_net

from xnb.adapters import with_inputs
from xnb.models import ViT
from xnb.widgets import anatomy, layers, pixels
from xnb.widgets.explained import prepare_subject
from xnb.widgets.perturbation import HiddenArea, probabilities_before_after


def test_filters_of_colour_and_of_many_channels():
    colours = anatomy.draw_filters(trained_net(), "stage1.0.0")
    assert colours.shape[0] >= 200
    strongest = anatomy.draw_filters(trained_net(), "stage2.0.0")
    assert strongest is not None
    assert anatomy.draw_filters(trained_net(), "stage1.0.2") is None


def test_every_channel_is_shown_on_one_scale():
    values = torch.zeros(4, 2, 2)
    values[3] = 2.0
    sheet = anatomy.draw_channels(anatomy.LayerOutput(values, True))
    red = (sheet == pixels.signed_colours([1.0], 1.0)[0]).all(2).mean()
    assert 0.1 < red < 0.25


def test_a_layer_sees_what_it_must():
    subject = prepare_subject(trained_net(), shapes())
    zeros = anatomy.choose_field_input(subject)
    assert zeros.shape == (1, 3, 128, 128)
    assert anatomy.receptive_field_size(subject, "stage1.0.0", zeros) == (3, 3)
    assert anatomy.receptive_field_size(subject, "stage1.1.add", zeros) == (7, 7)
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


class ChannelsLast(nn.Module):
    """A stage with channels on the last axis, a norm over them, and one picture's grid for tokens."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 5, 4, 4), nn.LayerNorm(5)
        self.tokens, self.head = nn.Linear(5, 7), nn.Linear(7, 2)

    def forward(self, x):
        seen = self.norm(self.stem(x).permute(0, 2, 3, 1))
        return self.head(self.tokens(seen.flatten(1, 2)).mean(1))


def test_channels_are_those_of_the_layer_wherever_they_stand():
    """A norm returns (2, 3, 5) of a picture of 8 x 12, five channels of 2 x 3 places; a linear layer 6 tokens of 7."""
    model = with_seed(ChannelsLast).eval()
    x = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    subject = prepare_subject(model, x)
    with torch.no_grad():
        seen = model.norm(model.stem(x[1:]).permute(0, 2, 3, 1))
    norm = anatomy.layer_output(subject, 1, "norm")
    assert norm.are_maps
    torch.testing.assert_close(norm.values, seen[0].movedim(-1, 0))
    tokens = anatomy.layer_output(subject, 1, "tokens")
    assert tokens.are_maps
    torch.testing.assert_close(tokens.values, model.tokens(seen[0]).movedim(-1, 0).detach())
    assert not anatomy.layer_output(subject, 1, "head").are_maps
    panel = layers(model, x, layer="norm")
    assert "returns: 5 of 5 channels" in panel.areas["maps"].value
    panel.controls["layer"].value = "head"
    assert "returns: 2 numbers, no maps of the picture" in panel.areas["maps"].value


def test_a_network_of_one_size_is_measured_at_that_size():
    """A patch of our Transformer sees its 4 x 4 pixels; behind an attention every place sees the whole picture."""
    panel = layers(with_seed(lambda: ViT(depth=1)), shapes(), layer="patches")
    assert "the strongest place sees 4 × 4 pixels" in panel.areas["field"].value
    assert panel.output().values.shape == (64, 8, 8)
    panel.controls["layer"].value = "blocks.0.attention.out"
    assert "must not see the border of x" in panel.areas["field"].value
    assert "earlier layer, as the model takes no larger x" in panel.areas["field"].value
    assert "returns: 64 of 64 channels" in panel.areas["maps"].value


class Scaled(nn.Module):
    """A network of pictures that are multiplied first."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, rows):
        return self.net(x * rows)


def test_a_network_with_further_inputs_is_walked_through_and_perturbed():
    """Each picture is multiplied by its own row: 0 for the second, so that nothing that is hidden there matters."""
    net, rows = trained_net(), torch.ones(8, 1, 1, 1)
    rows[1] = 0
    model = with_inputs(Scaled(net), rows=rows).eval()
    panel = layers(model, shapes().test.x)
    assert 'role="alert"' not in html_of(panel)
    subject = prepare_subject(model, shapes().test.x)
    before, after = probabilities_before_after(subject, HiddenArea(1, 0, 0, 32))
    np.testing.assert_array_equal(before, after)
    before, after = probabilities_before_after(subject, HiddenArea(0, 0, 0, 32))
    assert abs(before - after).max() > 0.01


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="layers: no row of that name"):
        layers(trained_net(), shapes(), layer="stage9")
