"""Small networks with attention that tests take apart: inputs (B, 2, 6, 6), three classes."""

import torch
from torch import nn

from xnb.methods import METHODS
from xnb.models.attention_pooling import AttentionPool, MeanPool
from xnb.models.vit import Block


class Patches(nn.Sequential):
    """A Transformer with two blocks on 3 x 3 patches, cut open: pieces 0 to 2 make tokens, 3 and 4 are blocks."""

    prefix = 0
    blocks = property(lambda self: self[3:5])

    def tokens(self, x):
        return self[:3](x)

    def readout(self, tokens):
        return self[5:](tokens)


class Swap(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


def drawn(model):
    """Double precision, every weight drawn: those that start at zero or one would hide mistakes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for weights in model.parameters():
            nn.init.normal_(weights, 0, 0.4)
    return model.double().eval()


def patches():
    pieces = [nn.Conv2d(2, 8, 2, 2, bias=False), nn.Flatten(2), Swap()]
    return drawn(Patches(*pieces, Block(8, 2), Block(8, 2), MeanPool(), nn.Linear(8, 3)))


def pooling():
    pieces = [nn.Conv2d(2, 8, 2, 2, bias=False), nn.Flatten(2), Swap(), nn.Tanh()]
    return drawn(nn.Sequential(*pieces, AttentionPool(8, 4), nn.Linear(8, 3)))


def with_attention(name):
    """The network that a method on attention is tried on, None for other methods."""
    if name not in METHODS.cards or METHODS.cards[name].family != "attention":
        return None
    return pooling() if name == "leave_one_out" else patches()
