"""What a widget explains: a model of its own, and inputs with what is known of them.

Tests: xnb.widgets.explorable
"""

import math

import pytest
import torch
from torch import nn
from widget_cases import shapes, trained_net

from xnb.adapters import with_inputs
from xnb.data import Part, Split
from xnb.models import Net
from xnb.widgets.explained import likeliest_classes, prepare_subject
from xnb.widgets.explorable import check_uploadable


@pytest.fixture(scope="module")
def subject():
    return prepare_subject(trained_net(), shapes())


def test_a_subject_has_a_model_of_its_own():
    net = trained_net()
    net.train()
    try:
        own = prepare_subject(net, shapes()).model
    finally:
        net.eval()
    assert not own.training
    assert not {p.data_ptr() for p in own.parameters()} & {p.data_ptr() for p in net.parameters()}


def test_kinds_of_data():
    net = trained_net()
    x = shapes().test.x
    assert prepare_subject(net, shapes()).source == "data.test.x"
    assert prepare_subject(net, shapes().test).source == "data.x"
    assert prepare_subject(net, x).source == "data"
    assert prepare_subject(net, x).classes[0] == "class 0"
    assert prepare_subject(net, x, classes=list("abcdef")).classes == tuple("abcdef")
    assert prepare_subject(lambda x: x.flatten(1)[:, :3], x).class_probabilities(0).sum() == pytest.approx(1)


def test_inputs_and_class_names_are_checked():
    net = trained_net()
    x = shapes().test.x
    with pytest.raises(ValueError, match="there must be 6 class names"):
        prepare_subject(net, x, classes=["a"])
    with pytest.raises(ValueError, match=r"there must be inputs \(B, ...\) to show"):
        prepare_subject(net, x[:0])


def test_pictures_without_classes_of_the_model_have_no_truth():
    """A flat folder is one class; six photographs have classes that the model does not know."""
    net = trained_net()
    x = shapes().test.x[:2]
    part = Part(x, torch.tensor([0, 0]))
    flat = Split(part[:0], part, ("mine",), names=("a", "b"))
    subject = prepare_subject(net, flat)
    assert subject.classes == tuple(f"class {k}" for k in range(6))
    assert subject.true_class(1) == ""
    assert (subject.input_name(1), subject.input_name(2)) == ("input 1, b", "input 2")
    assert prepare_subject(net, flat, classes=list("abcdef")).true_class(0) == ""
    assert prepare_subject(net, Part(x, torch.tensor([1, 6]))).true_class(0) == ""
    assert prepare_subject(net, Part(x, torch.tensor([1, 5]))).true_class(1) == "class 5"
    trained = Split(part, part, ("mine",))
    with pytest.raises(ValueError, match=r"6 class names\n  got: \('mine',\)\n  try: classes=\[f\"class"):
        prepare_subject(net, trained)


def test_one_input_without_its_batch_axis_is_answered_in_words():
    x = shapes().test.x[0]
    with pytest.raises(ValueError, match=r"must have a batch axis.*\n.*\n  try: x = x\[None\]"):
        prepare_subject(trained_net(), x)
    with pytest.raises(ValueError, match=r"must have a batch axis.*\n.*\n  try: x = x\[None\]"):
        prepare_subject(nn.Linear(3, 2).eval(), torch.rand(3))


def test_features_without_names_are_counted():
    subject = prepare_subject(Net(3, classes=2).eval(), torch.rand(2, 3))
    assert subject.features == ("feature 0", "feature 1", "feature 2")


def test_nothing_is_known_of_an_upload(subject):
    more = subject.add_upload(torch.zeros(1, 3, 32, 32))
    last = len(subject.x)
    assert more.is_upload(last)
    assert not more.is_upload(last - 1)
    assert more.true_class(last) == ""
    assert more.mask(last) is None
    assert more.true_class(0) == subject.true_class(0) != ""


def test_the_likeliest_class_comes_first():
    assert likeliest_classes(torch.tensor([0.2, 0.7, 0.1]).numpy(), 2) == [1, 0]


def add_row(x, rows):
    """Logits `x + row`: another for each input, and of an input with another's row a wrong one."""
    return x + rows


def test_what_belongs_to_an_input_runs_with_it():
    """Logits of input 2 are x + its own row, (0, 3): softmax 1 / (1 + e^3) and its complement."""
    rows = torch.tensor([[5.0, 0.0], [7.0, 1.0], [0.0, 3.0]])
    subject = prepare_subject(with_inputs(add_row, rows=rows).eval(), torch.zeros(3, 2))
    expected = 1 / (1 + math.exp(3))
    assert subject.class_probabilities(2) == pytest.approx([expected, 1 - expected])
    assert subject.predicted_class(0) == 0
    with subject.run_input(1) as x:
        torch.testing.assert_close(subject.model(x), rows[1:2])
    assert subject.needs_rows
    assert not prepare_subject(nn.Linear(2, 2).eval(), torch.zeros(3, 2)).needs_rows


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("x", "rows", "rule"),
    [
        ((3, 3, 4, 4), 3, "has a row for each input"),
        ((3, 5, 4, 4), 1, "only pictures of 1 or 3 channels"),
        ((3, 2), 1, "only pictures of 1 or 3 channels"),
    ],
    ids=["a-row-each", "five-channels", "table"],
)
def test_what_an_uploaded_picture_cannot_stand_beside_is_refused(x, rows, rule):
    subject = prepare_subject(first_two_and(torch.ones(rows, 2)), torch.zeros(x))
    with pytest.raises(ValueError, match=rule):
        check_uploadable(subject)


def test_a_row_that_serves_all_inputs_serves_an_uploaded_one():
    subject = prepare_subject(first_two_and(torch.tensor([[1.0, 0.0]])), torch.zeros(3, 3, 4, 4))
    check_uploadable(subject)
    more = subject.add_upload(torch.ones(1, 3, 4, 4))
    with more.run_input(3) as x:
        torch.testing.assert_close(more.model(x), torch.tensor([[2.0, 1.0]]))


def first_two_and(rows):
    """Logits: the first two numbers of an input and its row, added."""
    return with_inputs(lambda x, rows: x.flatten(1)[:, :2] + rows, rows=rows).eval()
