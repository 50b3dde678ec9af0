"""What runs on a part of the batch, or folds its rows into another axis, under methods with rules.

Tests: xnb.methods.deep_lift, xnb.methods.guided, xnb.methods.lrp
"""

import pytest
import torch
from everyday_parts import drawn, seeded
from torch import nn
from torch.nn import functional as F

from xnb import attribute
from xnb.access.ledger import count_passes
from xnb.access.rows import follow_rows
from xnb.access.score import score

NET = seeded(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)))
X = drawn(4, 6, 5)
TARGET = torch.tensor([0, 1, 2, 0])


def bag(x):
    """Rows of all bags run as one batch."""
    return NET(x.flatten(0, 1)).tanh().unflatten(0, (len(x), -1)).mean(1)


def time_first(x):
    return NET(x.transpose(0, 1)).tanh().mean(0)


def views(x):
    """Two views one after another along the batch."""
    first, second = NET(torch.cat([x[:, 0], x[:, 1]])).tanh().chunk(2)
    return first + second


@pytest.mark.parametrize("chunk", [None, 1, 3])
@pytest.mark.parametrize("model", [bag, time_first, views])
def test_deep_lift_of_a_batch_is_that_of_each_alone(model, chunk):
    """The default reference is one row: where rows are folded into another axis it does not stand for the batch."""
    found = attribute(model, X, TARGET, "deep_lift", chunk=chunk)
    alone = [attribute(model, X[i : i + 1], TARGET[i : i + 1], "deep_lift") for i in range(4)]
    torch.testing.assert_close(found, torch.cat(alone), rtol=1e-9, atol=1e-12)
    change = score(model, X, TARGET) - score(model, torch.zeros_like(X), TARGET)
    torch.testing.assert_close(found.flatten(1).sum(1), change, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("chunk", [None, 1, 3])
@pytest.mark.parametrize("name", ["deep_lift", "lrp", "guided_backprop"])
def test_what_belongs_to_an_input_follows_it(name, chunk):
    """Each input has a mask of its own, which a reference of one row cannot take."""
    masks = (drawn(4, 6, 5) > 0).double()

    def masked(x):
        return bag(x * follow_rows(masks, len(x), "mask") + 0.1)

    found = attribute(masked, X, TARGET, name, chunk=chunk)
    for i in range(4):
        alone = attribute(lambda x, i=i: bag(x * masks[i] + 0.1), X[i : i + 1], TARGET[i : i + 1], name)
        torch.testing.assert_close(found[i : i + 1], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("composite", ["epsilon", "z_plus", "gamma", "alpha_beta"])
def test_lrp_of_class_0_of_one_logit_is_that_of_minus_the_logit(composite):
    """One logit z stands for two classes, of which class 0 has the score -z: relevance begins there from -z."""
    net = seeded(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 1)))
    x = drawn(3, 5)
    both = [attribute(net, x, torch.full((3,), k), "lrp", composite=composite) for k in (0, 1)]
    torch.testing.assert_close(both[0], -both[1])


def test_lrp_leaves_in_the_ledger_what_part_of_the_score_it_keeps():
    """Without biases, epsilon keeps all."""
    net = seeded(nn.Sequential(nn.Linear(5, 7, bias=False), nn.ReLU(), nn.Linear(7, 3, bias=False)))
    with count_passes() as passes:
        attribute(net, drawn(4, 5), TARGET, "lrp", composite="epsilon")
    torch.testing.assert_close(passes.notes["conserved"], torch.ones(4, dtype=torch.double), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_a_relu_in_any_form_is_rectified(name):
    """Functional, bounded by 6, as a clamp, in place, behind dropout in place: what no bound reaches is the same."""

    def forms(rectify):
        first, last = NET[0], NET[2]
        return lambda x: last(rectify(first(x.mean(1))))

    expected = attribute(forms(torch.relu), X, TARGET, name)
    for rectify in (
        F.relu6,
        lambda z: F.relu(z * 1, inplace=True),
        lambda z: F.dropout(F.relu(z), 0.2, False, True),
        lambda z: z.clamp(min=0),
        lambda z: F.hardtanh(z, 0.0, 20.0),
    ):
        torch.testing.assert_close(attribute(forms(rectify), X, TARGET, name), expected)


def test_the_relu_inside_a_recurrent_layer_is_rectified_too():
    """`nn.RNN(nonlinearity="relu")` hides its ReLUs: guided backprop of it is that of the loop written out."""
    rnn = seeded(nn.RNN(5, 3, nonlinearity="relu", batch_first=True, bias=False))

    def by_hand(x):
        h = torch.zeros(len(x), 3, dtype=x.dtype)
        for step in x.unbind(1):
            h = torch.relu(step @ rnn.weight_ih_l0.T + h @ rnn.weight_hh_l0.T)
        return h

    found = attribute(lambda x: rnn(x)[0][:, -1], X, TARGET, "guided_backprop")
    torch.testing.assert_close(found, attribute(by_hand, X, TARGET, "guided_backprop"))
