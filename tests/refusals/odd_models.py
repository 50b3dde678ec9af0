"""Models that do what a refusal is about; inputs (B, 2, 8, 8), three classes."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Odd(nn.Module):
    """A function of two convolutions and a head, as a module."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.b = nn.Conv2d(2, 4, 3, padding=1)
        self.inner = Inner(lambda x: x)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
        self.eval()

    def forward(self, x):
        return self.run(self, x)


class Inner(nn.Module):
    """A layer without weights."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x):
        return self.run(x)


def unused_layer():
    """Layer `a` has no share in the score."""
    return Odd(lambda net, x: net.head(net.b(x)) + 0 * net.a(x).detach().sum())


def layer_called_twice():
    """Layer `a` runs twice."""
    return Odd(lambda net, x: net.head(net.b(x) + net.a(x) + net.a(2 * x)))


def layer_of_the_batch():
    """Layer `inner` returns one number for the whole batch."""

    def run(net, x):
        net.inner.run = torch.sum
        return net.head(net.b(x)) + net.inner(net.a(x))

    return Odd(run)


def layer_with_words():
    """Layer `inner` returns no tensor."""

    def run(net, x):
        net.inner.run = lambda x: {"out": x}
        return net.head(net.b(x) + net.inner(net.a(x))["out"])

    return Odd(run)


def random_head():
    """Another score with every call."""
    return Odd(lambda net, x: net.head(net.a(x) + torch.rand(())))


def overwritten():
    """A tensor is used after it was overwritten in place."""

    def run(net, x):
        h = net.a(x)
        h.relu_()
        return net.head(h)

    return Odd(run)


def written_into():
    """Values are written into a tensor that came from x."""

    def run(net, x):
        h = net.a(x)
        h[:, 0] = h[:, 1]
        return net.head(h)

    return Odd(run)


def weights_from_x():
    """A layer whose weights come from x."""

    def run(net, x):
        return net.head(net.a(x)) + F.linear(x.flatten(1), x.flatten(1)[:1].repeat(3, 1))

    return Odd(run)


def checkpointed():
    """A part runs under a checkpoint."""
    return Odd(lambda net, x: net.head(checkpoint(net.a, x, use_reentrant=False)))


def power_norm(p):
    """A norm with another exponent than two."""
    return Odd(lambda net, x: net.head(F.normalize(net.a(x), p=p)))


def divided_by_norm(p):
    """Divided by a norm that is called as a function of torch."""
    return Odd(lambda net, x: net.head(net.a(x) / torch.norm(net.a(x), p=p, dim=1, keepdim=True)))


class Recurrent(nn.Module):
    """An LSTM on the rows of a picture."""

    def __init__(self, packed=False, **knobs):
        super().__init__()
        self.packed = packed
        self.lstm = nn.LSTM(16, 6, batch_first=True, **knobs)
        self.head = nn.Linear(knobs.get("proj_size") or 6, 3)
        self.eval()

    def forward(self, x):
        rows = x.transpose(1, 2).flatten(2)
        if self.packed:
            rows = nn.utils.rnn.pack_padded_sequence(rows, torch.full((len(x),), 8), batch_first=True)
        return self.head(self.lstm(rows)[1][0][-1])


class Block(nn.Module):
    """Attentions one after another, each with a shortcut around it."""

    def __init__(self, *heads):
        super().__init__()
        self.attentions = nn.ModuleList(nn.MultiheadAttention(8, number, batch_first=True) for number in heads)

    def forward(self, tokens):
        for attention in self.attentions:
            tokens = tokens + attention(tokens, tokens, tokens, need_weights=False)[0]
        return tokens


class Pair(nn.Module):
    """Averages neighbouring tokens."""

    def forward(self, tokens):
        return tokens.unflatten(1, (-1, 2)).mean(2)


def transformer(*blocks):
    """Patches of two pixels, blocks, the mean of the tokens."""
    cut = nn.Sequential(nn.Conv2d(2, 8, 2, 2), nn.Flatten(2))
    body = nn.Sequential(*blocks)

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.body, self.head = cut, body, nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.body(self.cut(x).mT).mean(1))

    return Tokens().eval()


class ExtraKeys(nn.Module):
    """Attention with a key and a value that belong to no token."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0].mean(1))


class Shortcut(nn.Module):
    """A stride on the way and none beside it: no chain of windows leads to the sum."""

    def __init__(self):
        super().__init__()
        self.narrow = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        self.wide = nn.Upsample(scale_factor=2)
        self.joined = nn.Identity()
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.joined(x + self.wide(self.narrow(x))).mean((2, 3)))


class Beside(nn.Module):
    """A way beside the blocks of a Transformer: its stages are not the whole model."""

    def __init__(self):
        super().__init__()
        self.body = transformer(Block(2), Block(2))
        self.beside = nn.Linear(128, 3)

    def forward(self, x):
        return self.body(x) + self.beside(x.flatten(1))


class ClassTokenFirst(nn.Module):
    """Attention over tokens behind one that belongs to no piece of the input."""

    def __init__(self, embed):
        super().__init__()
        self.embed, self.block, self.head = embed, Block(2), nn.Linear(8, 3)
        self.own = nn.Parameter(torch.zeros(8))
        self.eval()

    def forward(self, x):
        own = self.own.expand(len(x), 1, -1)
        return self.head(self.block(torch.cat([own, self.embed(x)], 1)).mean(1))


def mixed_before():
    """Every token reads all of the picture."""
    return ClassTokenFirst(nn.Sequential(nn.Flatten(), nn.Linear(128, 128), nn.Unflatten(1, (16, 8))))


def rounded():
    """Tokens of whole numbers, through which no slope leads to the picture."""
    embed = nn.Embedding(9, 8)
    return ClassTokenFirst(Inner(lambda x: embed((8 * x.mean(1)).long()).flatten(1, 2)))


def path_by_value():
    """One function for bright pictures, another for dark ones."""
    return Odd(lambda net, x: net.head((F.relu if x.sum() > 0 else torch.tanh)(net.a(x))))


def power_of_two_signals():
    """An elementwise function whose exponent comes from x as well."""
    return Odd(lambda net, x: net.head((1 + net.a(x).abs()) ** net.b(x)))


def greedy():
    """There is memory for a pass of two inputs, and for no more."""

    def run(net, x):
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return net.head(net.a(x))

    return Odd(run)
