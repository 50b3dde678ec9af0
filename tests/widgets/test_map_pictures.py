"""A map in pixels, in words, and as code to copy.

Tests: xnb.widgets.map_pictures, xnb.widgets.map_code
"""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from widget_cases import shapes, trained_net

from xnb.adapters import with_inputs
from xnb.widgets.explained import prepare_subject
from xnb.widgets.explore_state import Look, Question, answer_question, scale_end
from xnb.widgets.map_code import code_lines
from xnb.widgets.map_pictures import describe_map, draw_map


@pytest.fixture(scope="module")
def subject():
    return prepare_subject(trained_net(), shapes())


@pytest.mark.usefixtures("as_users_run")
def test_a_coarse_map_is_drawn_in_its_squares(subject):
    coarse = answer_question(subject, Question(method="grad_cam", knobs=(("resize", False),)))
    rgb = draw_map(subject, Question(), coarse, Look(outline=False))
    assert rgb.shape == (256, 256, 3)
    assert (rgb[:32, :32] == rgb[0, 0]).all()


def test_words_name_the_strongest_pixel_and_the_share_in_the_mask(subject):
    answer = answer_question(subject, Question(method="gradient"))
    row, column = np.unravel_index(answer.heat.argmax(), answer.heat.shape)
    text = describe_map(subject, Question(method="gradient"), answer)
    assert f"at row {row + 1}, column {column + 1}; least" in text
    assert re.search(r"\d+% of the magnitude lies in the mask", text)


QUESTIONS = [
    Question(method="gradient_times_input"),
    Question(picture=2, target=4, method="occlusion", knobs=(("window", 8), ("stride", None), ("baseline", 0.5))),
    Question(target=0, rather=3, method="grad_cam", knobs=(("layer", "stage2"),)),
    Question(method="exact_shapley", knobs=(("regions", 2), ("baseline", 0.5))),
    Question(method="integrated_gradients", knobs=(("steps", 4), ("quadrature", "midpoint"))),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.method)
def test_the_copied_lines_make_the_same_map(subject, question):
    look = Look(opacity=0.5)
    answer = answer_question(subject, question)
    names = {"model": trained_net(), "data": shapes()}
    exec("\n".join(code_lines(subject, question, answer, look)), names)
    torch.testing.assert_close(names["a"], answer.attribution)
    drawn = plt.gca().images[-1]
    assert drawn.get_clim()[1] == pytest.approx(scale_end(answer, look), rel=1e-3)
    plt.close("all")


def test_copied_lines_leave_defaults_out(subject):
    question = QUESTIONS[4]
    *_, explain, draw = code_lines(subject, question, answer_question(subject, question), Look(normalised=True))
    assert explain.endswith("\"integrated_gradients\", steps=4, quadrature='midpoint')")
    assert draw.endswith("limit=1)")


def test_an_uploaded_picture_is_x_in_copied_lines(subject):
    more = subject.add_upload(torch.rand(1, 3, 32, 32))
    question = Question(picture=len(subject.x))
    *_, explain, _ = code_lines(more, question, answer_question(more, question), Look())
    assert explain.startswith("a = xnb.attribute(model, x, torch.tensor([")


@pytest.mark.parametrize("rather", [None, 0])
def test_copied_lines_name_the_row_whose_mask_belongs_to_the_input(rather):
    """Logits `(0, s, 2 s)`, s = sum of x times its own row: the gradient of class 2 is twice the row, 2 * (3, 4)."""
    rows, x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.ones(3, 2)
    model = with_inputs(lambda x, rows: (x * rows).sum(1, keepdim=True) * torch.arange(3.0), rows=rows).eval()
    subject = prepare_subject(model, x)
    question = Question(picture=1, target=2, rather=rather, method="gradient")
    lines = code_lines(subject, question, answer_question(subject, question), Look())
    assert "with select_rows(slice(1, 2), len(data)):" in lines
    names = {"model": model, "data": x}
    exec("\n".join(lines), names)
    torch.testing.assert_close(names["a"], torch.tensor([[6.0, 8.0]]))
    plt.close("all")


def test_where_a_row_serves_all_inputs_the_lines_say_nothing_of_rows():
    model = with_inputs(lambda x, row: x * row, row=torch.tensor([[1.0, 2.0]])).eval()
    subject = prepare_subject(model, torch.ones(3, 2))
    question = Question(picture=1, method="gradient")
    lines = code_lines(subject, question, answer_question(subject, question), Look())
    assert not any("select_rows" in line for line in lines)
