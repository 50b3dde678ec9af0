"""From a question to an answer: numbers, scales, curves."""

import numpy as np
import pytest
import torch
from widget_cases import shapes, trained_net

import xnb
from xnb.adapters import with_inputs
from xnb.metrics.removal import removal_curve
from xnb.widgets.explained import prepare_subject
from xnb.widgets.explore_state import Look, Question, answer_question, probability_curves, scale_end
from xnb.widgets.map_pictures import draw_map


@pytest.fixture(scope="module")
def subject():
    return prepare_subject(trained_net(), shapes())


def test_an_answer_is_what_attribute_says(subject):
    question = Question(picture=3, target=2, method="occlusion", knobs=(("window", 8),))
    answer = answer_question(subject, question)
    x = shapes().test.x[3:4]
    expected = xnb.attribute(trained_net(), x, torch.tensor([2]), "occlusion", window=8)
    torch.testing.assert_close(answer.attribution, expected)
    np.testing.assert_allclose(answer.probabilities, trained_net()(x).softmax(1)[0].detach(), rtol=1e-5)
    assert answer.ledger["forward"] >= 17
    assert answer_question(subject, Question(picture=3)).target == answer.probabilities.argmax()


def test_a_contrast_is_the_difference_of_two_maps(subject):
    answer = answer_question(subject, Question(picture=1, target=1, rather=4, method="gradient"))
    x = shapes().test.x[1:2]
    one, other = (xnb.attribute(trained_net(), x, torch.tensor([k]), "gradient") for k in (1, 4))
    torch.testing.assert_close(answer.attribution, one - other)


@pytest.mark.parametrize(("method", "knobs"), [("lrp", ()), ("grad_cam", (("layer", "stage2"),))])
def test_rules_and_layers_work_behind_a_contrast(subject, method, knobs):
    question = Question(target=0, rather=1, method=method, knobs=knobs)
    assert answer_question(subject, question).attribution.abs().sum() > 0


def test_scales(subject):
    answer = answer_question(subject, Question(method="gradient"))
    magnitude = np.abs(answer.heat)
    assert scale_end(answer, Look()) == magnitude.max()
    assert scale_end(answer, Look(scale="clip")) == pytest.approx(np.percentile(magnitude, 99))
    assert scale_end(answer, Look(scale="held", end=7.0)) == 7.0


def test_a_map_of_zeros_has_a_scale_and_is_white(subject):
    nothing = answer_question(subject, Question(method="gradient", knobs=()))
    object.__setattr__(nothing, "attribution", torch.zeros(1, 3, 32, 32))
    assert scale_end(nothing, Look()) == 1.0
    assert (draw_map(subject, Question(), nothing, Look(outline=False)) > 240).all()


def test_removal_curves_end_together_and_important_pixels_go_first(subject):
    answer = answer_question(subject, Question(method="integrated_gradients"))
    most, least = probability_curves(subject, Question(), answer).values()
    assert most[0] == pytest.approx(least[0])
    assert most[-1] == pytest.approx(least[-1], abs=1e-5)
    assert most.mean() < least.mean()


def test_removal_curves_are_those_of_the_softmax_model(subject):
    answer = answer_question(subject, Question(method="gradient"))
    target = torch.tensor([answer.target])
    softmax = torch.nn.Sequential(subject.model, torch.nn.Softmax(1)).eval()
    curve = removal_curve(softmax, subject.input(0), target, answer.attribution, first="most")
    most = probability_curves(subject, Question(), answer)["most important first"]
    np.testing.assert_allclose(most, curve[:, 0].numpy(), atol=1e-6)


def test_answers_and_curves_of_a_model_whose_rows_follow():
    """Logits are x * row: gradient times input of class k is x_k row_k; curves begin at the sigmoid of 6 - 5."""
    rows = torch.tensor([[3.0, 2.0], [2.0, 5.0]])
    x = torch.tensor([[1.0, -1.0], [3.0, 1.0]])
    subject = prepare_subject(with_inputs(lambda x, rows: x * rows, rows=rows).eval(), x)
    question = Question(picture=1, target=0)
    answer = answer_question(subject, question)
    torch.testing.assert_close(answer.attribution, torch.tensor([[6.0, 0.0]]))
    contrasted = answer_question(subject, Question(picture=1, target=0, rather=1))
    torch.testing.assert_close(contrasted.attribution, torch.tensor([[6.0, -5.0]]))
    curves = probability_curves(subject, question, answer)
    whole = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose([curve[0] for curve in curves.values()], whole, rtol=1e-5)
