"""Copies of a model with random parameters: the model itself is left alone, and no parameter keeps its value."""

import networks
import pytest
import torch
from torch import nn

from xnb import models
from xnb.metrics.randomised_models import cascade_randomisation, parameter_layers, randomised_copy
from xnb.models import SmallCNN


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def differ(one, other):
    """The modules with a parameter that is not the same."""
    return {name.rpartition(".")[0] for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("order", ["top_down", "bottom_up"])
def test_layers_become_random_one_after_the_other(order, model):
    before, done = weights(model), []
    for name, copy in cascade_randomisation(model, order=order):
        done.append(name)
        assert differ(before, copy.state_dict()) == set(done)
        assert not copy.training
    assert done == (["5", "2", "0"] if order == "top_down" else ["0", "2", "5"])
    assert not differ(before, model.state_dict())


def test_both_orders_end_at_the_same_model(model):
    ends = [
        list(cascade_randomisation(model, order=order, seed=4))[-1][1].state_dict()
        for order in ("top_down", "bottom_up")
    ]
    assert not differ(*ends)
    assert not differ(ends[0], randomised_copy(model, seed=4).state_dict())
    assert differ(ends[0], randomised_copy(model, seed=5).state_dict()) == {"0", "2", "5"}


def test_the_global_generator_is_left_alone(model):
    state = torch.get_rng_state()
    randomised_copy(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_norms_forget_what_they_saw():
    net = SmallCNN(3, 4, (4, 4, 4)).eval()
    net.stage1[0][1].running_mean.fill_(7.0)
    copy = randomised_copy(net)
    assert (copy.stage1[0][1].running_mean == 0).all()
    assert (net.stage1[0][1].running_mean == 7).all()


def test_a_layer_stands_for_all_below_it():
    net = SmallCNN(3, 4, (4, 4, 4)).eval()
    steps = dict(cascade_randomisation(net, layers=["stage1", "stage2", "stage3", "head"]))
    assert list(steps) == ["head", "stage3", "stage2", "stage1"]
    assert {name.split(".")[0] for name in differ(net.state_dict(), steps["stage3"].state_dict())} == {"head", "stage3"}


def test_what_has_no_rule_is_shuffled():
    """Weights of attention, norms and a token that belongs to the model itself: none keeps its place."""

    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.body = nn.Parameter(torch.arange(50.0)), networks.patches()

    net = Token().eval()
    copy = randomised_copy(net)
    same = [name for name, values in net.named_parameters() if torch.equal(values, copy.get_parameter(name))]
    assert not same
    torch.testing.assert_close(copy.token.sort().values, net.token.detach())
    assert parameter_layers(net)[0] == ""
    last = list(cascade_randomisation(net))[-1]
    assert last[0] == ""
    assert not differ(last[1].state_dict(), copy.state_dict())


def test_a_pooling_has_forgotten_all():
    torch.manual_seed(0)
    net = models.bag_classifier().eval()
    before, state = net.head.weight.clone(), torch.get_rng_state()
    other = randomised_copy(net, seed=1)
    assert torch.equal(net.head.weight, before)
    assert torch.equal(state, torch.get_rng_state())
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in pairs)
