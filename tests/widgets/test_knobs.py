"""A method's knobs as controls."""

import pytest
from torch import nn
from widget_cases import shapes, trained_net

import xnb
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


def test_a_network_without_layers_that_return_pictures():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 6)).eval()
    subject = prepare_subject(model, shapes())
    assert make_knob_controls("grad_cam", subject)["layer"].options == (AUTOMATIC,)
    descriptions = {control.description for control in make_knob_controls("rise", subject).values()}
    assert {"squares", "samples"} <= descriptions
    assert make_knob_controls("edges", subject) == {}
