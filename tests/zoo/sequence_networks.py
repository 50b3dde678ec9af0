"""Networks on signals, volumes, tokens, bags and tables."""

import torch
from animal import Animal
from picture_networks import MeanOver
from torch import nn
from torch.nn import functional as F

import xnb


class Recurrent(nn.Module):
    """The last state of a recurrent network, (B, T, D)."""

    def __init__(self, kind):
        super().__init__()
        self.body = kind(3, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        out, _ = self.body(x)
        return self.head(out[:, -1])


class Tokens(nn.Module):
    """One layer of attention over pieces, with special tokens where they are asked for.

    The attention is written out in one of several ways.
    """

    def __init__(self, embed, first=0, last=0, how="matmul", read=0):
        super().__init__()
        self.embed = embed
        self.first = nn.Parameter(torch.randn(1, first, 8))
        self.last = nn.Parameter(torch.randn(1, last, 8))
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.mix = nn.Parameter(torch.eye(2) + 0.1)
        self.head = nn.Linear(8, 3)
        self.how = how
        self.read = read

    def forward(self, x):
        n = len(x)
        tokens = torch.cat([self.first.expand(n, -1, -1), self.embed(x), self.last.expand(n, -1, -1)], 1)
        q, k, v = (part(tokens).unflatten(2, (2, 4)).transpose(1, 2) for part in (self.q, self.k, self.v))
        tokens = tokens + self.attend(q, k, v).transpose(1, 2).flatten(2)
        return self.head(tokens.mean(1) if self.read is None else tokens[:, self.read])

    def attend(self, q, k, v):
        if self.how == "fused":
            return F.scaled_dot_product_attention(q, k, v)
        weights = (q @ k.mT / 2).softmax(3)
        if self.how == "einsum":
            return torch.einsum("bhnm,bhmd->bhnd", weights, v)
        if self.how == "talking":
            weights = torch.einsum("bhnm,gh->bgnm", weights, self.mix)
        return weights @ v


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(2, 8, 4, 4)

    def forward(self, x):
        return self.cut(x).flatten(2).transpose(1, 2)


class FeatureTokens(nn.Module):
    """A token for each number of a record."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8))

    def forward(self, x):
        return x[:, :, None] * self.weight


class BagOfTables(nn.Module):
    """Instances run as one large batch, and are averaged for each bag."""

    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x):
        return self.each(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)


class Gate(nn.Module):
    """A second input with a row for each input: which of the steps count."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x, mask):
        return (self.body(x) * mask[:, :, None]).sum(1)


def gated():
    mask = torch.tensor([[1.0, 0, 1, 0, 1], [0, 2, 0, 1, 1], [1, 1, 1, 1, 0]], dtype=torch.double)
    return xnb.adapters.with_inputs(Gate().double(), mask=mask)


def signal(make, layer=None, shape=(1, 20), **facts):
    return Animal(make, shape, layer, places=(2,), **facts)


def wave(*middle):
    pool = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3)]
    return nn.Sequential(nn.Conv1d(1, 5, 3, padding=1), *middle, *pool)


def volume():
    pool = [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), *pool)


def pictures_of_tokens(**knobs):
    return Animal(lambda: Tokens(Patches(), **knobs), (2, 8, 8), places=(2, 3))


def records(**knobs):
    return Animal(lambda: Tokens(FeatureTokens(), **knobs), (6,))


def last_axis_wave():
    """Time on axis 1, channels on the last: norms and linear layers over the last axis."""
    return nn.Sequential(nn.Linear(3, 6), nn.GELU(), nn.LayerNorm(6), MeanOver(1), nn.Linear(6, 3))


SEQUENCES = {
    "wave": signal(lambda: wave(nn.ReLU()), "1", homogeneous=True),
    "wave, pool": signal(lambda: wave(nn.ReLU(), nn.MaxPool1d(2)), "2", homogeneous=True),
    "wave of two channels": signal(
        lambda: nn.Sequential(nn.Conv1d(2, 5, 3), nn.GELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3)),
        "1",
        shape=(2, 20),
    ),
    "volume": Animal(volume, (1, 6, 8, 8), "2", places=(2, 3, 4), homogeneous=True),
    "time first axis": Animal(last_axis_wave, (12, 3), places=(1,)),
    "lstm": Animal(lambda: Recurrent(nn.LSTM), (5, 3), places=(1,)),
    "gru": Animal(lambda: Recurrent(nn.GRU), (5, 3), places=(1,)),
    "class token first": pictures_of_tokens(first=1),
    "class token last": pictures_of_tokens(last=1, read=-1),
    "no class token": pictures_of_tokens(read=None),
    "registers": pictures_of_tokens(first=1, last=2),
    "fused attention": pictures_of_tokens(first=1, how="fused"),
    "einsum attention": pictures_of_tokens(first=1, how="einsum"),
    "talking heads": pictures_of_tokens(first=1, how="talking"),
    "records, class token last": records(last=1, read=-1),
    "records, class token first": records(first=1),
    "bag": Animal(BagOfTables, (5, 4), places=(1,)),
    "second input": Animal(gated, (5, 4), places=(1,), holds_rows=True),
    "table, relu": Animal(lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), (6,), homogeneous=True),
    "table, tanh": Animal(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), (6,)),
    "one logit": Animal(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)), (6,), classes=1),
}
