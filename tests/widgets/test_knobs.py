"""A method's knobs as controls."""

import pytest
import torch
from networks import with_seed
from torch import nn
from widget_cases import shapes, trained_net

import xnb
from xnb.models import ViT
from xnb.widgets.explained import prepare_subject
from xnb.widgets.explore_state import Question, answer_question
from xnb.widgets.knobs import make_knob_controls
from xnb.widgets.panel import AUTOMATIC, selected_value


@pytest.fixture(scope="module")
def subject():
    return prepare_subject(trained_net(), shapes())


def test_every_method_that_lint_allows_has_controls_it_can_run_with(subject):
    table = xnb.lint(subject.model, subject.input(0))
    for method in table.index[table["valid"]]:
        controls = make_knob_controls(method, subject)
        assert "chunk" not in controls
        knobs = tuple((name, selected_value(control)) for name, control in controls.items())
        if controls.keys().isdisjoint({"samples", "regions"}):  # the others take longer, and are tried elsewhere
            answer = answer_question(subject, Question(method=method, knobs=knobs))
            assert answer.attribution.isfinite().all(), method


def test_knobs_are_those_of_the_signature(subject):
    assert set(make_knob_controls("occlusion", subject)) == {"window", "stride", "baseline"}
    assert "stage2" in make_knob_controls("grad_cam", subject)["layer"].options


def test_layers_are_those_with_maps_wherever_their_channels_stand():
    """A Transformer of 8 x 8 patches: every block hands on tokens that lie on the picture, the head does not."""
    subject = prepare_subject(with_seed(lambda: ViT(depth=2)), shapes())
    offered = make_knob_controls("grad_cam", subject)["layer"].options
    assert {"blocks.0", "blocks.1"} <= set(offered)
    assert "head" not in offered


class WrittenOut(nn.Module):
    """Two attentions over four columns of a table, in modules that no convention names."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(1, 4), nn.Linear(4, 2)
        self.one, self.two = (nn.MultiheadAttention(4, 2, batch_first=True) for _ in range(2))

    def forward(self, x):
        tokens = self.embed(x[..., None])
        for mix in (self.one, self.two):
            tokens = tokens + mix(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(tokens.mean(1))


def test_blocks_are_the_attentions_that_are_seen():
    x = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    subject = prepare_subject(with_seed(WrittenOut).eval(), x)
    assert make_knob_controls("raw_attention", subject)["block"].options == (("last", -1), ("0", 0), ("1", 1))


def test_a_network_without_layers_that_return_pictures():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 6)).eval()
    subject = prepare_subject(model, shapes())
    assert make_knob_controls("grad_cam", subject)["layer"].options == (AUTOMATIC,)
    descriptions = {control.description for control in make_knob_controls("rise", subject).values()}
    assert {"squares", "samples"} <= descriptions
    assert make_knob_controls("edges", subject) == {}
