"""Published networks with their weights: eight of CIFAR-10, which `xnb.models` has too, and two LeNets."""

import torch
from torch import Tensor, nn

from reproduce.lenet import FunctionalLeNet
from reproduce.sources import find_file
from xnb.check import find_entry
from xnb.models import PUBLISHED, load_published
from xnb.models.published import fill_in_order
from xnb.models.published_files import read_state

# By the names that stand in the tables.
NAMES = {
    "ResNet-20": "akamaster-resnet20",
    "ResNet-32": "akamaster-resnet32",
    "ResNet-44": "akamaster-resnet44",
    "ResNet-56": "akamaster-resnet56",
    "GoogleNet": "uvadlc-googlenet",
    "ResNet": "uvadlc-resnet",
    "ResNetPreAct": "uvadlc-preact",
    "DenseNet": "uvadlc-densenet",
}
CIFAR_NETWORKS = {name: PUBLISHED[published] for name, published in NAMES.items()}
LENETS = {
    "MNIST": "published/metaquantus/mnist_lenet.pt",
    "Fashion-MNIST": "published/metaquantus/fmnist_lenet.pt",
}


def load_cifar_network(name: str) -> nn.Module:
    """Return a published network of pictures in [0, 1], frozen and in evaluation mode."""
    published = find_entry(NAMES, name, "reproduce: no published network of that name")
    return load_published(published).requires_grad_(False)


def load_lenet(name: str = "MNIST") -> FunctionalLeNet:
    """Return a published LeNet; its pictures are normalised already."""
    network = FunctionalLeNet()
    file = find_entry(LENETS, name, "reproduce: no published LeNet of that name")
    fill_in_order(network, read_state(find_file(file)))
    return network.requires_grad_(False).eval()


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def is_right(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return whether each picture gets its class, in passes of 100."""
    answers = [network(part).argmax(1) for part in x.split(100)]
    return torch.cat(answers) == y
