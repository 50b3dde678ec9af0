"""What an attention reads.

Tests: xnb.widgets.attention_rows, xnb.widgets.attention_view
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import with_seed
from widget_cases import PANELS, shapes, trained_net

import xnb
from xnb.access.hooks import capture_attention
from xnb.models import ViT
from xnb.widgets import attention
from xnb.widgets.attention_rows import LayerAttention, RowSelection, attention_row, capture_layers, fit_selection
from xnb.widgets.explained import prepare_subject


@pytest.fixture(scope="module")
def vit():
    return with_seed(lambda: ViT(depth=3))


@pytest.fixture(scope="module")
def layers(vit):
    """Attention of the three layers for input 1, as the widget has it."""
    return capture_layers(prepare_subject(vit, shapes()), 1, [True] * 3)


@pytest.fixture(scope="module")
def weights(vit):
    """The same `(h, N, M)` for each layer, without the widget."""
    with capture_attention(vit) as captures, torch.no_grad():
        vit(shapes().test.x[1:2])
    return [capture.weights[0].detach().numpy() for capture in captures]


def read_row(layers, **selected):
    """The row that the widget shows for what its controls select."""
    return attention_row(layers, fit_selection(layers, RowSelection(**selected)))


def test_rows_of_attention_are_those_of_the_model(layers, weights):
    row = read_row(layers, layer=1, query=5)
    np.testing.assert_allclose(row, weights[1].mean(0)[5], rtol=1e-5)
    one_head = read_row(layers, layer=0, query=5, head=3)
    np.testing.assert_allclose(one_head, weights[0][3, 5], rtol=1e-5)


def test_deeper_rows_are_products_of_layers_with_shortcuts(layers, weights):
    first, second, third = ((layer.mean(0) + np.eye(65)) / 2 for layer in weights)
    row = read_row(layers, query=7, depth=3)
    np.testing.assert_allclose(row, (third @ second @ first)[7], rtol=1e-4)
    cut_off = read_row(layers, layer=1, query=7, depth=3)
    np.testing.assert_allclose(cut_off, (second @ first)[7], rtol=1e-4)
    assert read_row(layers, query=0, depth=3).sum() == pytest.approx(1, rel=1e-4)


def test_rollout_of_all_layers_is_that_of_the_catalogue():
    vit = with_seed(lambda: ViT(depth=2))
    layers = capture_layers(prepare_subject(vit, shapes()), 0, [True] * 2)
    row = read_row(layers, depth=2, query=0)
    rollout = xnb.attribute(vit, shapes().test.x[:1], torch.tensor([0]), "rollout")
    np.testing.assert_allclose(row[1:].reshape(8, 8), rollout[0, 0, ::4, ::4] * 1, rtol=1e-4)


def test_what_a_layer_does_not_have_is_the_last_that_it_has():
    """Of one query and one head; layers of 3 and then 4 tokens are not multiplied, layers of 4 and 4 are."""
    pooling = LayerAttention("pool", np.full((1, 1, 4), 0.25))
    same, other = LayerAttention("same", np.full((2, 4, 4), 0.25)), LayerAttention("other", np.ones((2, 3, 3)) / 3)
    layers = [other, same, pooling]
    asked = RowSelection(head=1, query=3, depth=3)
    assert fit_selection(layers, asked) == RowSelection(layer=2, head=0, query=0, depth=2)
    assert fit_selection(layers, replace(asked, layer=1)) == RowSelection(layer=1, head=1, query=3, depth=1)
    assert fit_selection(layers, RowSelection(layer=0)) == RowSelection(layer=0)
    np.testing.assert_array_equal(read_row([pooling], query=3), pooling.weights[0, 0])
    np.testing.assert_allclose(read_row(layers, depth=3), [0.25] * 4)


def test_a_click_selects_a_patch():
    panel = PANELS["attention"]()
    panel.clickable.squares[8 + 2].click()
    assert panel.selection.query == 1 + 8 + 2
    assert "row 2, column 3" in panel.clickable.html.value


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match="raw_attention: no attention was seen"):
        attention(trained_net(), shapes())
