"""Published networks with their weights: eight of CIFAR-10, and two LeNets."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reproduce.joining_networks import densenet, googlenet
from reproduce.lenet import FunctionalLeNet
from reproduce.residual_networks import padded_resnet, preactivation_resnet, projecting_resnet
from reproduce.sources import read_state
from xnb.adapters import normalise
from xnb.check import find_entry, require

# Means and deviations by which each project normalises its pictures.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


class Published(NamedTuple):
    """How a network is made, and which file has its weights."""

    make: Callable[[], nn.Module]
    file: str
    statistics: tuple[tuple[float, ...], tuple[float, ...]]


CIFAR_NETWORKS = {
    "ResNet-20": Published(partial(padded_resnet, 3), "weights/akamaster/resnet20-12fca82f.th", _IMAGENET),
    "ResNet-32": Published(partial(padded_resnet, 5), "weights/akamaster/resnet32-d509ac18.th", _IMAGENET),
    "ResNet-44": Published(partial(padded_resnet, 7), "weights/akamaster/resnet44-014dd654.th", _IMAGENET),
    "ResNet-56": Published(partial(padded_resnet, 9), "weights/akamaster/resnet56-4bfd9763.th", _IMAGENET),
    "GoogleNet": Published(googlenet, "weights/uvadlc/GoogleNet.ckpt", _CIFAR),
    "ResNet": Published(projecting_resnet, "weights/uvadlc/ResNet.ckpt", _CIFAR),
    "ResNetPreAct": Published(preactivation_resnet, "weights/uvadlc/ResNetPreAct.ckpt", _CIFAR),
    "DenseNet": Published(densenet, "weights/uvadlc/DenseNet.ckpt", _CIFAR),
}
LENETS = {
    "MNIST": "published/metaquantus/mnist_lenet.pt",
    "Fashion-MNIST": "published/metaquantus/fmnist_lenet.pt",
}


def fill_in_order(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put published tensors into a network of other names, one after the other.

    Both sides declare their layers from the input up, so the order is the same; a shape that differs is refused.

    Raises:
        ValueError: another number of tensors, or a tensor of another shape.
    """
    own = _without_counters(network.state_dict())
    published = _without_counters(state)
    shapes = [[tuple(tensor.shape) for tensor in tensors.values()] for tensors in (own, published)]
    rule = f"reproduce: the weights must have the shapes of {type(network).__name__}"
    hint = "a file of the same architecture: see reproduce/sources.toml"
    require(shapes[0] == shapes[1], rule, _find_first_difference(own, published), hint)
    for place, tensor in zip(own.values(), published.values(), strict=True):
        place.copy_(tensor)  # a state shares its memory with the network


def _without_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All but the numbers of batches that norms have seen: older files lack them, and evaluation does not read them."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _find_first_difference(own: Mapping[str, Tensor], published: Mapping[str, Tensor]) -> object:
    for (name, mine), (other, theirs) in zip(own.items(), published.items(), strict=False):
        if mine.shape != theirs.shape:
            return f"{name} {tuple(mine.shape)}, {other} {tuple(theirs.shape)}"
    return f"{len(own)} tensors, {len(published)} published"


def load_cifar_network(name: str) -> nn.Module:
    """Return a published network of pictures in [0, 1], frozen and in evaluation mode."""
    published = find_entry(CIFAR_NETWORKS, name, "reproduce: no published network of that name")
    network = published.make()
    fill_in_order(network, read_state(published.file))
    return normalise(network.requires_grad_(False).eval(), *published.statistics)


def load_lenet(name: str = "MNIST") -> FunctionalLeNet:
    """Return a published LeNet; its pictures are normalised already."""
    network = FunctionalLeNet()
    fill_in_order(network, read_state(find_entry(LENETS, name, "reproduce: no published LeNet of that name")))
    return network.requires_grad_(False).eval()


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def is_right(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return whether each picture gets its class, in passes of 100."""
    answers = [network(part).argmax(1) for part in x.split(100)]
    return torch.cat(answers) == y
