"""The receptive field as the gradient measures it and as the formula gives it."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from xnb.models import FastNet, SmallCNN
from xnb.summary import receptive_field
from xnb.summary.receptive_field import Window

NETWORKS = {
    "small": SmallCNN,
    "fast": FastNet,
    "plain": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 2, 3, dilation=2)
    ),
}


@pytest.mark.parametrize(
    ("network", "layer", "side", "expected"),
    [
        ("small", "stage1.0.0", 64, 3),
        ("small", "stage1", 64, 7),
        ("small", "stage2", 64, 17),
        ("small", "stage3", 128, 37),
        ("fast", "stem", 64, 3),
        ("fast", "blocks.4", 256, 67),
        ("fast", "blocks.9", 512, 275),
        ("plain", "0", 64, 5),
        ("plain", "2", 64, 9),
        ("plain", "3", 64, 25),
    ],
)
def test_measured_equals_formula(network, layer, side, expected):
    net, x = NETWORKS[network]().eval(), torch.zeros(1, 3, side, side)
    assert receptive_field.measure_size(net, x, layer) == (expected, expected)
    assert receptive_field.side_by_formula(receptive_field.list_windows(net, x, layer)) == expected


class Last(nn.Module):
    """Channels on the last axis."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1)


def test_channels_may_stand_last():
    """A kernel of 3 at stride 2, then one of 3: 3 + 2 * 2 = 7 pixels a side, whichever axis holds the channels."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 9, 3), Last(), nn.Linear(9, 5), nn.LayerNorm(5)).eval()
    x = torch.zeros(1, 3, 40, 40)
    assert receptive_field.measure_size(net, x, "3") == (7, 7)
    assert receptive_field.measure_size(net, x, "4") == (7, 7)


def test_windows_count_dilation():
    net, x = NETWORKS["plain"]().eval(), torch.zeros(1, 3, 64, 64)
    assert receptive_field.list_windows(net, x, "3") == [Window(5, 2), Window(3, 2), Window(5, 1)]


def test_formula_by_hand():
    assert receptive_field.side_by_formula([]) == 1
    assert receptive_field.side_by_formula([(3, 1), (3, 1)]) == 5
    assert receptive_field.side_by_formula([(7, 2), (3, 2)]) == 7 + 2 * 2


def test_shortcuts_with_a_stride_are_measured_and_refused_by_the_formula():
    net, x = resnet18().eval(), torch.zeros(1, 3, 160, 160)
    assert receptive_field.measure_size(net, x, "maxpool") == (7 + 2 * 2,) * 2
    assert receptive_field.measure_size(net, x, "layer2") == (99, 99)  # 43 after layer1, then 2 * 4 + 3 * 2 * 8
    with pytest.raises(ValueError, match="no shortcut may hold one"):
        receptive_field.list_windows(net, x, "layer2")


def test_windows_that_are_not_square():
    net, x = nn.Sequential(nn.Conv2d(1, 1, (3, 5))).eval(), torch.zeros(1, 1, 16, 16)
    assert receptive_field.measure_size(net, x, "0") == (3, 5)
    with pytest.raises(ValueError, match=r"square windows\n  got: \(3, 5\)"):
        receptive_field.list_windows(net, x, "0")


def test_refusals():
    net, x = SmallCNN().eval(), torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match="must not see the border"):
        receptive_field.measure_size(net, x, "stage3")
    with pytest.raises(ValueError, match=r"must return maps of the picture\n  got: float64\[1,10\]"):
        receptive_field.measure_size(net, x, "head")
    with pytest.raises(ValueError, match="evaluation mode"):
        receptive_field.list_windows(net.train(), x, "stage1")


def test_leaves_the_model_alone():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(1), nn.ReLU())
    before = net[0].weight.clone()
    assert receptive_field.measure_size(net, torch.zeros(1, 1, 9, 9), "2") == (3, 3)
    assert torch.equal(net[0].weight, before)
    assert isinstance(net[1], nn.MaxPool2d)
    assert net.training


def test_a_model_that_keeps_a_tensor_of_its_pass_is_measured():
    """Two convolutions of side 3 see 5 pixels; what hangs on a graph is no reason to refuse the copy."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)).eval()
    x = torch.zeros(1, 3, 16, 16)
    net[0].last = net[0](x)
    assert receptive_field.measure_size(net, x, "1") == (5, 5)


def test_effective_field_of_a_chain_of_averages():
    """Two averages of 3 x 3: a pixel counts as often as ways lead from it, 1, 2, 3, 2, 1 along each side."""
    net = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False), nn.Conv2d(1, 2, 3, bias=False)).eval()
    for conv in net:
        nn.init.constant_(conv.weight, 1 / 9)
    field = receptive_field.effective_field(net, torch.rand(2, 1, 9, 9), "1")
    ways = torch.tensor([0.0, 0, 1, 2, 3, 2, 1, 0, 0])
    assert torch.allclose(field, (ways[:, None] * ways / 81).expand(2, 9, 9), atol=1e-6)
    inside = [receptive_field.count_inside(field, side)[0].item() for side in (1, 3, 5, 9)]
    assert inside == pytest.approx([9 / 81, 49 / 81, 1, 1])


@pytest.mark.parametrize("length", [8, 9])
def test_a_square_has_the_pixels_of_its_side_and_no_more(length):
    """An even side had counted one row and one column too many."""
    even_field = torch.ones(1, length, length)
    counts = [int(receptive_field.count_inside(even_field, side)) for side in range(1, length + 3)]
    assert counts == [min(side, length) ** 2 for side in range(1, length + 3)]


def test_effective_field_is_each_pictures_own_and_lies_within_the_theoretical_one():
    net, x = SmallCNN().eval(), torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    field = receptive_field.effective_field(net, x, "stage2")
    alone = receptive_field.effective_field(net, x[1:2], "stage2")
    assert torch.allclose(field[1], alone[0], atol=1e-6)
    assert torch.allclose(field.sum((1, 2)), torch.ones(3))
    rows, columns = (field.sum((0, side)).nonzero() for side in (2, 1))
    assert rows.max() - rows.min() < 17
    assert columns.max() - columns.min() < 17
