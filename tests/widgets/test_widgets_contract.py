"""What every widget does: each control changes the picture and back, and a figure stands where nothing moves.

Tests: xnb.widgets.attention_view, xnb.widgets.static
"""

import inspect
import io
import re

import ipywidgets as W
import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from widget_cases import PANELS, html_of, shapes, trained_net

from xnb import widgets
from xnb.widgets import attention, explore, layers, perturb

MOVES = [
    ("explore", "picture", 3),
    ("explore", "target", 4),
    ("explore", "rather", 1),
    ("explore", "method", "grad_cam"),
    ("explore", "scale", "clip"),
    ("explore", "opacity", 0.5),
    ("explore", "outline", False),
    ("perturb", "picture", 3),
    ("perturb", "row", 0),
    ("perturb", "column", 20),
    ("perturb", "size", 20),
    ("perturb", "fill", "zero"),
    ("attention", "picture", 3),
    ("attention", "layer", 0),
    ("attention", "head", 2),
    ("attention", "query", 9),
    ("attention", "depth", 2),
    ("attention of bags", "bag", 2),
    ("attention of bags", "target", None),
    ("attention of bags", "method", "raw_attention"),
    ("attention of bags", "order", "place in the bag"),
    ("layers", "picture", 2),
    ("layers", "layer", "stage2.0.0"),
    ("watch", "picture", 2),
    ("watch", "method", "grad_cam"),
    ("side_by_side", "picture", 2),
    ("side_by_side", "target", 3),
    ("side_by_side", "scale", "own"),
    ("rows", "row", "occlusion"),
    ("records", "record", 3),
    ("records", "method", "gradient_times_input"),
    ("records", "features", 12),
    ("judge", "statement", "below"),
    ("judge", "bar", 0.8),
    ("judge", "trainings", 4),
]


@pytest.fixture(scope="module")
def panels():
    return {name: make() for name, make in PANELS.items()}


def shown_picture(panel):
    """What the controls determine; of several methods the first."""
    return panel.picture(panel.methods[0]) if callable(panel.picture) else panel.picture


def test_every_exported_widget_is_tried_here():
    exported = {name for name, value in vars(widgets).items() if inspect.isfunction(value)}
    tried = {name.split()[0] for name in PANELS}
    assert exported == tried
    assert {name for name, _, _ in MOVES} == set(PANELS)


@pytest.mark.parametrize(("name", "control", "value"), MOVES, ids=[f"{name}-{control}" for name, control, _ in MOVES])
def test_each_control_changes_the_picture_and_back(panels, name, control, value):
    panel = panels[name]
    moved = panel.controls[control]
    before = shown_picture(panel)
    was = moved.value
    moved.value = 1 - was if value is None else value  # of two classes, the other one
    changed = shown_picture(panel)
    pages = html_of(panel)
    moved.value = was
    assert changed.shape != before.shape or not np.array_equal(changed, before)
    assert 'role="alert"' not in pages
    np.testing.assert_array_equal(shown_picture(panel), before)


@pytest.mark.parametrize("name", PANELS)
def test_where_nothing_moves_a_figure_stands(panels, name):
    bundle = panels[name]._repr_mimebundle_()
    assert bundle["text/plain"].startswith(name.split()[0])
    assert bundle["application/vnd.jupyter.widget-view+json"]
    pixels = np.asarray(Image.open(io.BytesIO(bundle["image/png"])).convert("L"), dtype=float)
    assert pixels.shape[1] >= 700
    assert pixels.std() > 5
    assert panels[name]._repr_mimebundle_()["image/png"] == bundle["image/png"]


@pytest.mark.parametrize("name", PANELS)
def test_everything_has_a_name_for_a_reader_who_cannot_see_it(panels, name):
    html = html_of(panels[name])
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', html))
    assert len(re.findall(r"<svg", html)) == len(re.findall(r'<svg role="img" aria-label="[^"]', html))
    for control in panels[name].controls.values():
        if control.has_trait("description") and not isinstance(control, W.HTML):
            assert control.description


def test_no_figure_of_pyplot_and_no_trace_in_the_model():
    net = trained_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    open_figures = mpl.pyplot.get_fignums()
    panel = explore(net, shapes().test, method="lrp")
    panel._repr_mimebundle_()
    assert mpl.pyplot.get_fignums() == open_figures
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("widget", [perturb, layers])
def test_only_pictures_can_be_hidden_and_walked_through(widget):
    table = nn.Linear(3, 2).eval()
    with pytest.raises(ValueError, match="inputs must be pictures"):
        widget(table, torch.randn(4, 3))


@pytest.mark.parametrize("widget", [attention, layers])
def test_a_plain_function_has_no_layers_to_look_into(widget):
    with pytest.raises(ValueError, match="the model must be a module"):
        widget(lambda x: x.flatten(1)[:, :6], shapes())
