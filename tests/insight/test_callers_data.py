"""Data and models leave every call of `xnb.insight` as they came, also where the first module works in place.

Tests: xnb.insight
"""

import pytest
import torch
from networks import visible_state
from torch import nn

from xnb.data import Part
from xnb.insight import counterfactuals, influence, inside


def make(inplace):
    """A network whose first module may write into its input."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.ReLU(inplace=inplace), nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.ReLU(), nn.Linear(5, 3)]
        return nn.Sequential(*layers).double().eval()


def draw(count, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 8, 8, dtype=torch.double, generator=generator).clamp(-1, 1)
    return Part(x, torch.arange(count) % 3)


CALLS = {
    "influence functions": lambda net, part: influence.influence_functions(net, part, part),
    "TracIn": lambda net, part: influence.trac_in(net, part, part),
    "TRAK": lambda net, part: influence.trak(net, part, part, size=16),
    "representer points": lambda net, part: influence.representer_points(net, part, part, layer="3"),
    "nearest inputs": lambda net, part: influence.nearest_inputs(net, part, part, layer="3"),
    "changed pixels": lambda net, part: (
        counterfactuals.change_pixels(net, part.x, (part.y + 1) % 3, steps=20, span=(-1.0, 1.0)).x
    ),
    "swapped pixels": lambda net, part: counterfactuals.count_swapped(
        net, part.x, part.x.flip(0), (part.y + 1) % 3, part.x
    ),
    "a unit": lambda net, part: inside.measure_unit(net, part.x, "3", 2),
    "an excited unit": lambda net, part: inside.excite_unit(net, (3, 8, 8), "4", 1, steps=5, robust=False),
    "a concept": lambda net, part: inside.find_concept(net, part.x[:3], part.x[3:], "3"),
    "its slope": lambda net, part: inside.measure_concept(net, part.x, part.y, "3", torch.ones(5).double()),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_module_that_works_in_place_changes_no_answer_and_no_data(name):
    part, net = draw(6, 1), make(inplace=True)
    before, state = part.x.clone(), visible_state(net)
    found = CALLS[name](net, part)
    torch.testing.assert_close(found, CALLS[name](make(inplace=False), part))
    assert torch.equal(part.x, before)
    assert visible_state(net) == state
    assert all(parameter.grad is None for parameter in net.parameters())


def test_networks_trained_at_once_leave_the_data_too():
    part = draw(6, 1)
    before = part.x.clone()
    weights = torch.ones(2, 6, dtype=torch.double)
    many = influence.train_many(lambda seed: make(inplace=True), part, weights, [0, 0], steps=3)
    other = influence.train_many(lambda seed: make(inplace=False), part, weights, [0, 0], steps=3)
    torch.testing.assert_close(many.logits(part.x), other.logits(part.x))
    assert torch.equal(part.x, before)
