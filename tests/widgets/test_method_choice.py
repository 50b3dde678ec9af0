"""Which methods a widget offers, when they are tried, and which is shown first."""

import numpy as np
import pytest
import torch
from torch import nn
from widget_cases import html_of, shapes, trained_net

from xnb import METHODS
from xnb.widgets import explore, method_choice, side_by_side
from xnb.widgets.explained import prepare_subject
from xnb.widgets.method_choice import choose_first, is_large, judge_methods, read_methods, survey_methods


def forest(x):
    """A black box: numbers that numpy makes, from two columns of a table."""
    z = np.asarray(x.detach())[:, :2]
    return torch.from_numpy(z - z[:, ::-1])


def of_four_pixels(x):
    return x.flatten(1)[:, :4]


@pytest.mark.parametrize("methods", [["grad_cam", "gradient"], ["edges", "gradient_times_input"], ["lrp"]])
def test_the_first_method_given_is_shown(methods):
    panel = explore(trained_net(), shapes(), methods=methods)
    assert {name for _, name in panel.controls["method"].options} == set(methods)
    assert panel.question.method == methods[0]


def test_the_first_method_given_that_is_right_is_shown():
    panel = explore(trained_net(), shapes(), methods=["rollout", "edges", "gradient_times_input"])
    assert panel.question.method == "edges"
    assert "no attention was seen" in panel.controls["refused"].value


def test_of_all_methods_a_quick_one_is_shown():
    assert explore(trained_net(), shapes()).question.method == "gradient_times_input"


def test_one_method_is_a_list_of_one():
    panel = explore(trained_net(), shapes(), methods="lrp")
    assert [name for _, name in panel.controls["method"].options] == ["lrp"]


def test_the_method_that_is_shown_is_offered():
    panel = explore(trained_net(), shapes(), methods=["gradient"], method="edges")
    assert {name for _, name in panel.controls["method"].options} == {"edges", "gradient"}
    assert panel.question.method == "edges"


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"methods": ["gradcam"]}, r"no method of that name\n  got: 'gradcam'\n  try: one of .*grad_cam"),
        ({"method": "gradcam"}, r"no method of that name\n  got: 'gradcam'\n  try: one of .*grad_cam"),
        ({"method": "rollout"}, r"no method is right for this model\n  got: .*no attention was seen"),
        ({"methods": ["rollout", "chefer"]}, r"no method is right for this model\n  got: .*no attention was seen"),
    ],
)
def test_methods_that_cannot_be_shown_are_refused(knobs, says):
    with pytest.raises(ValueError, match=says):
        explore(trained_net(), shapes(), **knobs)


def test_a_black_box_opens_with_what_needs_no_gradient():
    panel = explore(forest, torch.randn(3, 5))
    offered = {name for _, name in panel.controls["method"].options}
    assert {"kernel_shap", "lime", "feature_ablation", "permutation_shapley"} <= offered
    assert {METHODS.cards[name].needs for name in offered} <= {"forward", "nothing"}
    assert 'role="alert"' not in html_of(panel)


def test_a_large_model_is_judged_in_two_passes(monkeypatch):
    """A photograph's worth of pixels: only the method that shows whether there is attention is run."""
    tried = []
    monkeypatch.setattr(method_choice, "try_method", lambda model, x, y, name: tried.append(name))
    subject = prepare_subject(nn.Sequential(nn.Flatten(), nn.Linear(3 * 65 * 64, 2)).eval(), torch.rand(1, 3, 65, 64))
    assert is_large(subject)
    table = survey_methods(subject, read_methods(None))
    assert table["valid"].all()
    assert tried == ["raw_attention"]
    survey_methods(subject, read_methods(None), ["lrp", "edges"])
    assert tried == ["raw_attention"] * 2 + ["lrp", "edges"]


def test_a_large_network_is_large_with_small_pictures():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(192, 30_000), nn.Linear(30_000, 2)).eval()
    assert is_large(prepare_subject(wide, torch.rand(1, 3, 8, 8)))
    assert not is_large(prepare_subject(trained_net(), shapes()))


def test_what_is_judged_in_two_passes_is_no_stricter_than_trying():
    for model, x in [(trained_net(), shapes().test.x), (forest, torch.randn(3, 5)), (of_four_pixels, shapes().test.x)]:
        subject = prepare_subject(model, x)
        judged = judge_methods(subject, METHODS)
        refused = list(judged.index[~judged["valid"]])
        assert refused
        assert not method_choice.lint_methods(subject, refused)["valid"].any()


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(method_choice, "_LARGE_INPUT", 100)
    return explore(trained_net(), shapes(), methods=["gradient", "guided_backprop", "rollout", "attcat", "grad_cam"])


def test_a_method_of_a_large_model_is_tried_when_it_is_chosen(large, monkeypatch):
    large.controls["method"].value = "grad_cam"
    assert 'role="alert"' not in html_of(large)
    monkeypatch.setattr(method_choice, "_LARGE_INPUT", 100)
    panel = explore(of_four_pixels, shapes(), methods=["gradient", "guided_backprop"], classes=list("abcd"))
    assert [name for _, name in panel.controls["method"].options] == ["gradient", "guided_backprop"]
    panel.controls["method"].value = "guided_backprop"
    assert 'role="alert"' in html_of(panel)
    panel.controls["try"].click()
    assert [name for _, name in panel.controls["method"].options] == ["gradient"]
    assert panel.question.method == "gradient"
    assert 'role="alert"' not in html_of(panel)
    assert "guided_backprop" in panel.controls["refused"].value


def test_to_try_all_keeps_what_is_shown(large):
    large.controls["method"].value = "grad_cam"
    large.controls["try"].click()
    assert large.question.method == "grad_cam"
    assert "2 methods are not for this model" in large.controls["refused"].value
    assert large.controls["removal"].value == "off"  # as its curves take 34 passes


def test_methods_side_by_side_are_tried_before_they_are_shown(monkeypatch):
    monkeypatch.setattr(method_choice, "_LARGE_INPUT", 100)
    panel = side_by_side(trained_net(), shapes(), ["gradient", "rollout"])
    assert panel.methods == ["gradient", "edges", "random"]
    with pytest.raises(ValueError, match=r"must be pictures \(B, C, H, W\)"):
        side_by_side(forest, torch.randn(3, 5))


def test_the_one_that_was_asked_for_comes_first():
    table = method_choice.lint_methods(prepare_subject(trained_net(), shapes()), ["edges", "gradient", "rollout"])
    assert choose_first(table, "edges") == "edges"
    assert choose_first(table) == "gradient"
    assert choose_first(table, in_order=True) == "edges"
