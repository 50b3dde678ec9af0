"""Networks by their names in the tables, and the two forms of one LeNet.

Tests: reproduce.networks, reproduce.lenet
"""

import pytest
import torch

from reproduce.lenet import FunctionalLeNet, modular_lenet
from reproduce.networks import CIFAR_NETWORKS, count_parameters, is_right, load_cifar_network
from reproduce.results import read_figures, read_result


def test_every_network_of_the_table_has_its_number_of_parameters():
    assert CIFAR_NETWORKS.keys() == read_figures("T2")["accuracy"].keys()
    own = {name: count_parameters(network.make()) for name, network in CIFAR_NETWORKS.items()}
    assert own == read_result("T2")["facts"]["parameters"]


def test_a_name_that_no_table_has_is_refused():
    with pytest.raises(ValueError, match="reproduce: no published network of that name"):
        load_cifar_network("akamaster-resnet20")


def test_both_forms_of_the_lenet_answer_alike():
    lenet = FunctionalLeNet().eval()
    x = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(modular_lenet(lenet)(x), lenet(x))
        assert is_right(lenet, x, lenet(x).argmax(1)).all()
