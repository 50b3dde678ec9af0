"""Units of the model's output: probabilities by softmax, sigmoid or as stated, and margins."""

import numpy as np
import pytest
import torch
from torch import nn

from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.metrics import deletion, insertion, removal_curve, road, saco
from xnb.metrics.output_units import convert_output

PROBABILITIES = ["probability", "softmax", "sigmoid"]


@pytest.fixture
def table():
    """Eight features of ones, some of them removed: logits are partial sums of the weights."""
    weights = torch.tensor([[3.0, 2, 1, 1, -1, 0, 0, 1], [0, -1, 1, 2, 0, 0, 2, 1]]).double().T
    return torch.ones(2, 8).double(), weights


def single(weights):
    """One logit z, and the same as two logits 0 and z."""
    return lambda x: x @ weights[:, :1], lambda x: torch.nn.functional.pad(x @ weights[:, :1], (1, 0))


def test_the_logit_is_the_model_itself(model, x, target):
    assert convert_output("score", model, x, target) is model
    assert convert_output("as is", model, x, target) is model


def test_probabilities_sum_to_one(model, x, target):
    torch.testing.assert_close(convert_output("probability", model, x, target)(x).sum(1), torch.ones(5).double())


def test_only_the_predicted_class_is_ahead(model, x, target):
    out = model(x)
    margins = convert_output("margin", model, x, target)(x)
    assert torch.equal(margins.argmax(1), out.argmax(1))
    assert ((margins > 0).sum(1) == 1).all()
    best_other = out.scatter(1, target[:, None], -torch.inf).amax(1, keepdim=True)
    torch.testing.assert_close(margins.gather(1, target[:, None]), out.gather(1, target[:, None]) - best_other)


@pytest.mark.parametrize("unit", PROBABILITIES)
@pytest.mark.parametrize("target", [0, 1])
def test_one_logit_is_two_classes_of_its_sigmoid(unit, target, table):
    """Target 1 is the sigmoid of z, target 0 that of -z: what two logits 0 and z say by softmax."""
    x, weights = table
    one, two = single(weights)
    for metric in (deletion, insertion, saco):
        knobs = {"impute": "zero"}
        ours = metric(one, x, target, x * weights[:, 0], unit=unit, **knobs)
        torch.testing.assert_close(ours, metric(two, x, target, x * weights[:, 0], **knobs))
    z = (x @ weights[:, 0]).sigmoid()
    curve = removal_curve(one, x, target, x, unit=unit, steps=2, impute="zero")
    torch.testing.assert_close(curve[0], z if target else 1 - z)


@pytest.mark.parametrize("target", [0, 1])
def test_one_logit_is_predicted_where_its_sign_says(target, table):
    x, weights = table
    one, two = single(weights - 0.6)
    for a in (weights[:, 0], -weights[:, 0]):
        ours = road(one, x, target, a.expand_as(x), impute="zero")
        assert torch.equal(ours, road(two, x, target, a.expand_as(x), impute="zero"))
        assert torch.equal(ours, road(one, x, target, a.expand_as(x), impute="zero", unit="sigmoid"))


def test_a_label_of_many_does_not_depend_on_the_others(table):
    """By sigmoid, deletion of label 0 is that of a model which has this label alone; by softmax it is not."""
    x, weights = table
    alone, _ = single(weights)
    arguments = x, 0, x * weights[:, 1]
    for metric in (deletion, insertion, road, saco):
        ours = metric(lambda x: x @ weights, *arguments, unit="sigmoid", impute="zero")
        torch.testing.assert_close(ours, metric(alone, x, 1, arguments[2], unit="sigmoid", impute="zero"))
    by_softmax = deletion(lambda x: x @ weights, *arguments, impute="zero")
    assert (by_softmax - deletion(lambda x: x @ weights, *arguments, unit="sigmoid", impute="zero")).abs().min() > 0.02


class Stating(nn.Module):
    """Probabilities as outputs, of one kind or another; `logits` are those behind them."""

    def __init__(self, kind, weights):
        super().__init__()
        self.kind, self.weights = kind, weights

    def logits(self, x):
        columns = 1 if self.kind in ("one label", "one column") else 2
        return x @ self.weights[:, :columns]

    def forward(self, x):
        z = self.logits(x)
        if self.kind == "softmax":
            return nn.functional.softmax(z, 1)
        if self.kind == "one column":
            return torch.nn.functional.pad(z, (1, 0)).softmax(1)[:, 1:]
        if self.kind == "numpy":
            p = np.exp(z.numpy())
            return torch.from_numpy(p / p.sum(1, keepdims=True))
        return torch.sigmoid(z)


KINDS = {"softmax": "softmax", "numpy": "softmax", "labels": "sigmoid", "one label": "sigmoid", "one column": "sigmoid"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [0, 1])
def test_stated_probabilities_are_taken_as_they_are(kind, target, table):
    """As the logits behind them say by softmax or sigmoid, whether found out or asked for; never softmax once more."""
    x, weights = table
    model = Stating(kind, weights).eval()
    for metric in (deletion, insertion, road):
        a = x * weights[:, target]
        expected = metric(model.logits, x, target, a, unit=KINDS[kind], impute="zero")
        torch.testing.assert_close(metric(model, x, target, a, impute="zero"), expected)
        torch.testing.assert_close(metric(model, x, target, a, unit="as is", impute="zero"), expected)
        with pytest.raises(ValueError, match="states probabilities already") as refusal:
            metric(model, x, target, a, unit=KINDS[kind], impute="zero")
        assert str(refusal.value).endswith("try: unit='as is'")


def test_what_a_black_box_means_is_asked(table):
    """One number in [0, 1] out of numpy may be a probability or a small logit."""
    x, weights = table

    def model(x):
        return torch.from_numpy(1 / (1 + np.exp(-(x @ weights[:, :1]).numpy())))

    with pytest.raises(ValueError, match="cannot be seen") as refusal:
        deletion(model, x, 1, x * weights[:, 0])
    pasted = {}
    exec(str(refusal.value).split("try: ")[1], pasted)
    stated = deletion(model, x, 1, x * weights[:, 0], unit=pasted["unit"])
    torch.testing.assert_close(stated, deletion(single(weights)[0], x, 1, x * weights[:, 0]))


def test_as_is_counts_probabilities_alone(table):
    x, weights = table
    with pytest.raises(ValueError, match=r"reads probabilities[^\n]*\n.*\n  try: unit='softmax'"):
        road(lambda x: x @ weights, x, 0, x, unit="as is", impute="zero")


def test_small_logits_are_no_probabilities(table):
    """Logits 0.4 and 0.6 sum to 1 by chance: another input's do not."""
    x, _ = table
    weights = torch.tensor([[0.05, 0.075]] * 8).double()
    ours = removal_curve(lambda x: x @ weights, x, 0, x, unit="probability", steps=2, impute="zero")
    torch.testing.assert_close(ours[0], torch.tensor([-0.2]).sigmoid().double().expand(2))


def test_the_look_at_the_output_costs_two_inputs_once(table):
    x, weights = table
    target = torch.zeros(2, dtype=torch.long)

    def model(x):
        return x @ weights

    with count_passes() as passes, remember_answers():
        deletion(model, x, target, x, steps=4)
        insertion(model, x, target, x, steps=4, impute="zero")
    assert passes.forward == 2 + 5 * len(x) + 3 * len(x)


@pytest.mark.parametrize("metric", [deletion, insertion, road, saco])
def test_unknown_units_are_refused(metric, model, x, target, as_users_run):
    with pytest.raises(ValueError, match="unit must be one of"):
        metric(model, x, target, x, unit="loss")
