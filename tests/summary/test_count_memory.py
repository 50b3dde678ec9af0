"""Memory of networks whose tensors can be counted by hand.

Tests: xnb.summary.memory
"""

import torch
from torch import nn

from xnb import summary
from xnb.models import SmallCNN

FLOAT = 4  # bytes


def test_a_chain_is_counted_by_hand():
    """Linear(10, 20), ReLU, Linear(20, 5) on three inputs."""
    net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5)).eval()
    memory = summary.count_memory(net, torch.zeros(3, 10))
    assert memory.weights == FLOAT * (10 * 20 + 20 + 20 * 5 + 5)
    # The first layer's output and the ReLU's live together; before the last layer runs the former is forgotten.
    assert memory.forward == FLOAT * 3 * (20 + 20)
    # The ReLU's output is kept once, for itself and for the layer behind it; the result is still held.
    assert memory.saved == FLOAT * 3 * (20 + 5)


def test_what_is_kept_grows_with_the_inputs_and_weights_do_not():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    one, four = (summary.count_memory(net, torch.zeros(B, 3, 8, 8)) for B in (1, 4))
    assert four.weights == one.weights
    assert four.saved == 4 * one.saved
    assert four.forward == 4 * one.forward


def test_buffers_count_and_changes_in_place_do_not():
    net = nn.Sequential(nn.BatchNorm1d(5), nn.ReLU(inplace=True)).eval()
    memory = summary.count_memory(net, torch.zeros(2, 5))
    counter = 8  # bytes of `num_batches_tracked`
    assert memory.weights == FLOAT * 4 * 5 + counter
    assert memory.forward == FLOAT * 2 * 5


def test_shapes_alone_give_the_same_and_the_model_is_left_alone():
    net = SmallCNN().eval()
    with torch.device("meta"):
        shapes = SmallCNN().eval()
        x = torch.empty(2, 3, 32, 32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    assert summary.count_memory(net, torch.zeros(2, 3, 32, 32)) == summary.count_memory(shapes, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
