"""T1 in small: two untrained networks, two pictures a block, few copies; and answers that cost nothing."""

import numpy as np
import torch

from reproduce import results, t1_blocks, t1_road, t1_shards
from reproduce.networks import CIFAR_NETWORKS
from reproduce.sources import LabelledPictures

NETWORKS = ("ResNet-20", "ResNet")
_HASHED = ("t1_road.py", "t1_blocks.py", "networks.py", "published.toml")


def draw_pictures(count):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, 32, 32, generator=generator)
    return LabelledPictures(x, torch.arange(count) % 10)


def make_small(patch, cache):
    """Cut T1 down, its blocks in a cache of their own; returns the names of networks as they are loaded."""
    patch.setenv("XNB_CACHE", str(cache))
    patch.setattr(t1_blocks, "BLOCK", 2)
    patch.setattr(t1_blocks, "NETWORKS", NETWORKS)
    patch.setattr(t1_blocks, "_COPIES", {"IG": 2, "GB": 2})
    patch.setattr(t1_blocks, "_IG_STEPS", {"base": 2, "noisy": 2})
    made = []

    def load(name):
        made.append(name)
        with torch.random.fork_rng():
            torch.manual_seed(len(name))
            return CIFAR_NETWORKS[name].make().requires_grad_(False).eval()

    patch.setattr(t1_blocks, "load_cifar_network", load)
    patch.setattr(t1_shards, "load_cifar_network", load)
    return made


def answer_at_once(network, x, y, numbers):
    """Answers that a picture, its class and the network decide, and nothing else: in place of `measure_block`."""
    x, y = x.numpy(), y.numpy()
    answers = []
    for picture, label, number in zip(x, y, numbers, strict=True):
        seed = [int(1e6 * picture.sum()), int(label), number, len(network)]
        answers.append(np.random.default_rng(seed).random((4, 8, 9)) < 0.5)
    right = np.stack(answers)
    return t1_blocks.Block(right[:, 0, 0, 0], right)


def make_quick(patch, folder, count):
    """Let answers cost nothing, and the table be written below a folder: so that whole runs can be compared."""
    made = make_small(patch, folder / "cache")
    for module in (t1_blocks, t1_shards):
        patch.setattr(module, "load_cifar_network", lambda name: made.append(name) or name)
        patch.setattr(module, "prepare", lambda model, example: model)
    patch.setattr(t1_blocks, "measure_block", answer_at_once)
    for module in (t1_road, t1_shards):
        patch.setattr(module, "read_exact_pictures", lambda asked: draw_pictures(min(asked, count)))
    (folder / "tables").mkdir()
    for name in _HASHED:
        (folder / "tables" / name).write_bytes((results.FOLDER / name).read_bytes())
    patch.setattr(results, "FOLDER", folder / "tables")
    return made
