"""Influence of training inputs: closed forms of a linear model, the papers' sums written slowly, Captum.

Tests: xnb.insight.influence.influence_function, xnb.insight.influence.gradients,
xnb.insight.influence.checkpoint_products, xnb.insight.influence.retraining,
xnb.insight.influence.neighbours, xnb.insight.influence.registry
"""

import pytest
import torch
from captum.influence import TracInCP
from logistic import draw_part, fit_weighted
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from xnb import models
from xnb.access.score import logits
from xnb.data import Part
from xnb.insight import influence
from xnb.insight.influence.gradients import example_gradients, margin_of
from xnb.insight.influence.influence_function import gauss_newton

DAMPING = 0.02


@pytest.fixture(scope="module")
def train():
    return draw_part(30)


@pytest.fixture(scope="module")
def test():
    return draw_part(7, seed=1)


@pytest.fixture(scope="module")
def linear(train):
    return fit_weighted(train, torch.ones(len(train)), DAMPING)


def losses(net, part):
    return F.cross_entropy(logits(net, part.x), part.y, reduction="none")


def test_influence_is_the_derivative_of_the_loss_by_the_weight_of_an_input(train, test, linear):
    found = influence.influence_functions(linear, train, test, damping=DAMPING)
    step = 1e-4
    for n in (0, 11, 29):
        weights = torch.ones(len(train), dtype=torch.double)
        weights[n] -= step
        less = losses(fit_weighted(train, weights, DAMPING), test)
        weights[n] += 2 * step
        more = losses(fit_weighted(train, weights, DAMPING), test)
        torch.testing.assert_close(found[:, n], (less - more) / (2 * step), rtol=1e-4, atol=1e-7)


def test_leaving_out_is_close_to_influence_where_inputs_are_many(test):
    errors = []
    for count in (30, 120):
        part = draw_part(count)

        def refit(some, seed, count=count):
            # what is left keeps its weight: the mean is still over all that there were
            return fit_weighted(some, torch.full((len(some),), len(some) / count), DAMPING)

        linear = refit(part, 0)
        exact = influence.leave_inputs_out(refit, part, test)
        near = influence.influence_functions(linear, part, test, damping=DAMPING)
        errors.append(float((exact - near).norm() / exact.norm()))
    assert errors[1] < 0.15 < errors[0]


def test_leave_one_out_is_the_loss_without_less_the_loss_with(train, test):
    def refit(part, seed):
        return fit_weighted(part, torch.ones(len(part)), DAMPING)

    found = influence.leave_inputs_out(refit, train[:6], test)
    without = refit(train[torch.tensor([0, 1, 2, 4, 5])], 0)
    torch.testing.assert_close(found[:, 3], losses(without, test) - losses(refit(train[:6], 0), test))


def test_repeats_are_means_over_the_same_seeds(train, test):
    def start(part, seed):
        """A network that one step has been taken with, from a start that the seed draws."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = models.Net(in_features=4, hidden=(5,), classes=3).double().eval()
        gradients = torch.autograd.grad(F.cross_entropy(net(part.x), part.y), [*net.parameters()])
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter -= gradient
        return net

    once = [influence.leave_inputs_out(start, train[:4], test, seed=seed) for seed in (3, 4)]
    twice = influence.leave_inputs_out(start, train[:4], test, repeats=2, seed=3)
    torch.testing.assert_close(twice, sum(once) / 2)


def test_curvature_of_a_linear_model_is_its_hessian(train, linear):
    parameters = dict(linear.named_parameters())
    sizes = [parameter.numel() for parameter in parameters.values()]

    def objective(flat):
        pieces = [piece.view_as(p) for piece, p in zip(flat.split(sizes), parameters.values(), strict=True)]
        out = torch.func.functional_call(linear, dict(zip(parameters, pieces, strict=True)), (train.x,))
        return F.cross_entropy(out, train.y)

    flat = torch.cat([parameter.detach().flatten() for parameter in parameters.values()])
    expected = torch.autograd.functional.hessian(objective, flat)
    torch.testing.assert_close(gauss_newton(linear, train), expected)


def test_curvature_of_a_network_is_never_negative(train, small):
    assert torch.linalg.eigvalsh(gauss_newton(small, train)).min() > -1e-12


def test_gradients_are_those_of_each_input_alone(train, small):
    found = example_gradients(small, train[:5])
    total = F.cross_entropy(small(train.x[:5]), train.y[:5], reduction="sum")
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(total, [*small.parameters()])])
    torch.testing.assert_close(found.sum(0), expected)
    torch.testing.assert_close(example_gradients(small, train[2:3])[0], found[2])
    last = example_gradients(small, train[:5], names=["head.bias"])
    torch.testing.assert_close(last, found[:, -3:])


def test_the_margin_is_the_log_odds():
    logit = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.double)
    p = logit.softmax(1)[0, 2]
    torch.testing.assert_close(margin_of(logit, torch.tensor([2])), (p / (1 - p)).log())


def test_tracin_is_the_sum_of_products_of_gradients(train, test, small):
    other = models.Net(in_features=4, hidden=(5,), classes=3).double().eval()
    found = influence.trac_in([small, other], train, test, rates=[0.5, 0.1])
    expected = torch.zeros(len(test), len(train), dtype=torch.double)
    for net, rate in ((small, 0.5), (other, 0.1)):
        for b in range(len(test)):
            for n in range(len(train)):
                pair = [
                    torch.autograd.grad(F.cross_entropy(net(x[None]), y[None]), [*net.parameters()])
                    for x, y in ((test.x[b], test.y[b]), (train.x[n], train.y[n]))
                ]
                expected[b, n] += rate * sum((one * two).sum() for one, two in zip(*pair, strict=True))
    torch.testing.assert_close(found, expected)


def test_tracin_is_that_of_captum(train, test, small, tmp_path):
    path = tmp_path / "checkpoint"
    torch.save(small.state_dict(), path)

    def load(net, place):
        net.load_state_dict(torch.load(place, weights_only=True))
        return 0.25  # the learning rate

    peer = TracInCP(
        small,
        TensorDataset(train.x, train.y),
        [str(path)],
        checkpoints_load_func=load,
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        batch_size=10,
    )
    theirs = peer.influence((test.x, test.y))
    torch.testing.assert_close(influence.trac_in(small, train, test, rates=0.25), theirs)


def test_one_rate_stands_for_all(train, test, small):
    one = influence.trac_in([small, small], train, test, rates=0.5)
    torch.testing.assert_close(one, influence.trac_in(small, train, test))


def test_neighbours_are_cosines_with_the_sign_of_the_class(train, test, small):
    found = influence.nearest_inputs(small, train, test)
    expected = F.cosine_similarity(test.x[2], train.x[5], dim=0) * (1 if test.y[2] == train.y[5] else -1)
    torch.testing.assert_close(found[2, 5], expected)
    inside = influence.nearest_inputs(small, train, test, layer="relu1")
    hidden = [small.relu1(small.linear1(x)) for x in (test.x[2], train.x[5])]
    sign = 1 if test.y[2] == train.y[5] else -1
    torch.testing.assert_close(inside[2, 5], (F.cosine_similarity(*hidden, dim=0) * sign).detach())


def test_a_mislabelled_input_lowers_the_loss_of_its_wrong_class_alone(train, test):
    """A known truth: copies of a test input, one with its class and one with another."""
    right, wrong = int(test.y[0]), (int(test.y[0]) + 1) % 3
    x = torch.cat([train.x, test.x[:1], test.x[:1]])
    part = Part(x, torch.cat([train.y, torch.tensor([right, wrong])]))
    linear = fit_weighted(part, torch.ones(len(part)), DAMPING)
    for found in (
        influence.influence_functions(linear, part, test[:1], damping=DAMPING),
        influence.trac_in(linear, part, test[:1]),
        influence.trak(linear, part, test[:1]),
        influence.nearest_inputs(linear, part, test[:1]),
    ):
        assert found[0, -2] > 0 > found[0, -1]


def test_what_is_refused(train, test, small, as_users_run):
    with pytest.raises(ValueError, match="damping must be positive"):
        influence.influence_functions(small, train, test, damping=0)
    with pytest.raises(ValueError, match=r"at most 5,000 parameters.*\n.*\n  try: parameters=\['head.weight'"):
        influence.influence_functions(models.Net(4, classes=3).double().eval(), train, test)
    with pytest.raises(ValueError, match=r"parameters of these names.*\n  got: \['tail'\]"):
        influence.trac_in(small, train, test, parameters=["tail"])
    with pytest.raises(ValueError, match="must be trainable"):
        influence.trac_in(small.requires_grad_(False), train, test)
    with pytest.raises(ValueError, match="a rate for each of 1 checkpoints"):
        influence.trac_in([small], train, test, rates=[1.0, 2.0])
    with pytest.raises(ValueError, match="at least two training inputs"):
        influence.leave_inputs_out(lambda part, seed: small, train[:1], test)


def test_the_catalog_has_every_method():
    table = influence.catalog()
    assert set(table["method"]) == set(influence.INFLUENCES)
    assert len(table) == 6
