"""Modules of the drawn networks that torch has none of: joins, attention as it is written, learned tokens."""

import torch
from torch import nn


class Function(nn.Module):
    """A function of torch, as a model calls it between its modules."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x):
        return self.run(x)


class Join(nn.Module):
    """What a branch returns, joined with what it was given."""

    def __init__(self, body, join):
        super().__init__()
        self.body, self.join = body, join

    def forward(self, x):
        return self.join(x, self.body(x))


class Twice(nn.Module):
    """The same modules, called twice."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(self.body(x))


class Attention(nn.Module):
    """Self-attention by torch's own module."""

    def __init__(self, width, heads):
        super().__init__()
        self.mix = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return x + self.mix(x, x, x, need_weights=False)[0]


class WrittenAttention(nn.Module):
    """Self-attention of one head, as tutorials write it."""

    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return x + torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


class Recurrent(nn.Module):
    """Every output of a recurrent layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class ClassToken(nn.Module):
    """A learned token before the others."""

    def __init__(self, width):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, width))

    def forward(self, x):
        return torch.cat([self.token.expand(len(x), -1, -1), x], 1)


class Positions(nn.Module):
    """A learned vector for each place of a token."""

    def __init__(self, count, width):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(count, width))

    def forward(self, x):
        return x + self.vectors
