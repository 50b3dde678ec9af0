"""Probabilities that a widget shows, by what the model returns."""

import math

import pytest
import torch

from xnb.widgets import explore
from xnb.widgets.likelihoods import check_unit, find_unit, read_probabilities


def test_one_logit_speaks_for_class_one_by_its_sigmoid():
    """z = log 3: P(1) = 3 / 4; a softmax over one logit would say 1."""
    out = torch.tensor([[math.log(3)], [-math.log(3)]])
    assert find_unit(out) == "sigmoid"
    torch.testing.assert_close(read_probabilities(out, "sigmoid"), torch.tensor([[0.25, 0.75], [0.75, 0.25]]))
    torch.testing.assert_close(read_probabilities(torch.tensor([[0.3]]), "as is"), torch.tensor([[0.7, 0.3]]))


def test_stated_probabilities_stay_and_logits_go_through_softmax():
    stated = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert find_unit(stated) == "as is"
    assert torch.equal(read_probabilities(stated, "as is"), stated)
    out = torch.tensor([[0.0, math.log(3)]])
    assert find_unit(out) == "softmax"
    torch.testing.assert_close(read_probabilities(out, "softmax"), torch.tensor([[0.25, 0.75]]))
    assert find_unit(torch.tensor([[-0.5, 1.5]])) == "softmax"  # adds up to 1, but is no probability


def test_labels_do_not_share_a_sum():
    out = torch.tensor([[0.0, math.log(3), -math.log(3)]])
    torch.testing.assert_close(read_probabilities(out, "sigmoid"), torch.tensor([[0.5, 0.75, 0.25]]))


@pytest.mark.usefixtures("as_users_run")
def test_units_that_do_not_fit_are_refused():
    out = torch.tensor([[0.0, 3.0]])
    assert check_unit("sigmoid", out) == "sigmoid"
    with pytest.raises(ValueError, match=r"unit must be one of .*\n  got: 'probability'"):
        check_unit("probability", out)
    with pytest.raises(
        ValueError, match=r"returns probabilities\n  got: 'outputs from 0 to 3'\n  try: unit=\"softmax\""
    ):
        check_unit("as is", out)


def test_an_explorer_of_one_logit_shows_both_classes():
    net = torch.nn.Sequential(torch.nn.Linear(2, 1)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[math.log(3), 0.0]]))
        net[0].bias.zero_()
    panel = explore(net, torch.tensor([[1.0, 5.0], [-1.0, 5.0]]), methods=["gradient_times_input"])
    assert panel.subject.classes == ("class 0", "class 1")
    assert panel.answer().probabilities.tolist() == pytest.approx([0.25, 0.75])
    assert panel.answer().attribution.tolist() == [[pytest.approx(math.log(3)), 0]]
    panel.controls["picture"].value = 1  # class 0 now, whose logit is -z
    assert panel.answer().target == 0
    assert panel.answer().attribution.tolist() == [[pytest.approx(math.log(3)), 0]]


def test_an_explorer_of_labels_shows_each_by_its_sigmoid():
    def labels(x):
        return x * math.log(3)

    panel = explore(labels, torch.tensor([[1.0, 1.0, 0.0]]), methods=["baseline_distance"], unit="sigmoid")
    assert panel.answer().probabilities.tolist() == pytest.approx([0.75, 0.75, 0.5])
