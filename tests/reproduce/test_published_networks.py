"""Networks of others in our own lines: parameters as published, tensors filled in order, two forms of one LeNet.

Tests: reproduce.networks, reproduce.residual_networks, reproduce.joining_networks, reproduce.lenet
"""

import pytest
import torch

from reproduce.lenet import FunctionalLeNet, modular_lenet
from reproduce.networks import CIFAR_NETWORKS, count_parameters, fill_in_order, is_right
from reproduce.residual_networks import PadShortcut

# As their authors count them.
PARAMETERS = {
    "ResNet-20": 269_722,
    "ResNet-32": 464_154,
    "ResNet-44": 658_586,
    "ResNet-56": 853_018,
    "GoogleNet": 260_650,
    "ResNet": 272_378,
    "ResNetPreAct": 272_250,
    "DenseNet": 239_146,
}


@pytest.mark.parametrize("name", CIFAR_NETWORKS)
def test_networks_have_the_published_number_of_parameters(name):
    network = CIFAR_NETWORKS[name].make().eval()
    assert count_parameters(network) == PARAMETERS[name]
    with torch.no_grad():
        assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_a_padded_shortcut_keeps_every_second_pixel():
    x = torch.rand(1, 4, 6, 6)
    y = PadShortcut(4, 8)(x)
    torch.testing.assert_close(y[:, 2:6], x[:, :, ::2, ::2])
    assert (y[:, :2] == 0).all()
    assert (y[:, 6:] == 0).all()


def test_tensors_are_filled_in_order_whatever_their_names():
    first, second = (CIFAR_NETWORKS["ResNet-20"].make().eval() for _ in range(2))
    state = {f"module.{n}": tensor for n, tensor in enumerate(first.state_dict().values()) if tensor.ndim}
    fill_in_order(second, state)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(second(x), first(x))


def test_weights_of_another_network_are_refused():
    lenet = FunctionalLeNet()
    with pytest.raises(ValueError, match=r"must have the shapes of FunctionalLeNet\n  got: 'conv1.weight"):
        fill_in_order(lenet, {"weight": torch.ones(3)})
    state = dict(list(lenet.state_dict().items())[:-1])
    with pytest.raises(ValueError, match="10 tensors, 9 published"):
        fill_in_order(lenet, state)


def test_both_forms_of_the_lenet_answer_alike():
    lenet = FunctionalLeNet().eval()
    x = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(modular_lenet(lenet)(x), lenet(x))
        assert is_right(lenet, x, lenet(x).argmax(1)).all()
