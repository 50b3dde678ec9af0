"""Training mode is refused where it would matter, and only there."""

import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.modes import find_training


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(64, 3)
        )
    return net.eval()


class Wrapper(nn.Module):
    """As people write it around a model in evaluation; it is in training mode itself, as everything new."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


class Dropping(Wrapper):
    """A wrapper that answers otherwise in training mode, by way of another method."""

    def forward(self, x):
        return self.drop(self.net(x))

    def drop(self, out):
        return nn.functional.dropout(out, 0.5, training=self.training)


@pytest.mark.parametrize("wrap", [Wrapper, nn.Sequential, nn.DataParallel, lambda net: Wrapper(Wrapper(net))])
def test_a_fresh_wrapper_around_a_model_in_evaluation_is_no_fault(x, target, wrap):
    net = network().double()
    torch.testing.assert_close(attribute(wrap(net), x, target, "gradient"), attribute(net, x, target, "gradient"))


@pytest.mark.parametrize(
    "make", [lambda: Dropping(network()), lambda: Wrapper(network().train()), lambda: network().train()]
)
def test_what_answers_otherwise_in_training_is_refused(x, make):
    model = make().double()
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(model, x, 0, "gradient")
    assert find_training(model.eval()) is None


def test_the_part_in_training_mode_is_named():
    net = network()
    net[4].train()
    assert find_training(net) == "Dropout '4' with training == True"


def test_an_exported_model_has_the_mode_in_which_it_was_exported(x):
    """Its flags say training whatever it was; its calls of dropout and batch norm say the truth."""
    x = x.float()
    net = network()
    exported = torch.export.export(net, (x,))
    assert find_training(exported.module()) is None
    found = attribute(exported.module(), x, 1, "gradient")
    torch.testing.assert_close(found, attribute(net, x, 1, "gradient"))
    with pytest.raises(ValueError, match=r"model = model.module\(\)"):
        attribute(exported, x, 1, "gradient")
    trained = torch.export.export(net.train(), (x,)).module()
    with pytest.raises(ValueError, match=r"torch.export.export\(net.eval\(\), \(x,\)\).module\(\)"):
        attribute(trained, x, 1, "gradient")


def test_a_traced_graph_still_has_its_modules():
    traced = torch.fx.symbolic_trace(network())
    assert find_training(traced) is None
    assert find_training(traced.train()) is not None
