"""Small networks that tests take apart, and modules that models in use have: inputs (B, 2, 6, 6), three classes."""

import torch
from torch import nn
from torch.nn import functional as F

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


class CastLinear(nn.Module):
    """A linear layer in mixed precision: where nothing is to be cast, `.to` returns the parameter itself."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        bias = self.linear.bias
        return F.linear(x, self.linear.weight.to(dtype=x.dtype), None if bias is None else bias.to(dtype=x.dtype))


class ScratchLinear(nn.Module):
    """A linear layer and ReLU that write their output into memory of the model, one tensor a length of the batch."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        self.scratch = {}

    def forward(self, x):
        if len(x) not in self.scratch:
            self.scratch[len(x)] = torch.zeros(len(x), 3, dtype=self.linear.weight.dtype)
        scratch = self.scratch[len(x)]
        scratch.zero_()
        return scratch.add_(self.linear(x).relu())


def tensors_of(model):
    """Parameters, buffers and scratch memory."""
    scratch = [tensor for module in model.modules() for tensor in getattr(module, "scratch", {}).values()]
    return [*model.parameters(), *model.buffers(), *scratch]


def visible_state(model, *inputs):
    """Everything about a model and its inputs that a call might leave changed, beside their values."""
    hooks = 0
    for module in model.modules():
        hooks += len(module._forward_hooks) + len(module._forward_pre_hooks)
        hooks += len(module._backward_hooks) + len(module._backward_pre_hooks)
    return (
        hooks,
        [(sorted(vars(module)), module.training) for module in model.modules()],
        [(weights.grad, weights.requires_grad) for weights in model.parameters()],
        [(tensor.requires_grad, tensor.grad) for tensor in inputs],
        [dict(vars(tensor)) for tensor in (*tensors_of(model), *inputs)],  # nothing may be written on a tensor
    )


def with_seed(make):
    """The network that `make` builds, from the same random weights each time, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


class Counted(nn.Module):
    """A model that counts the inputs which are run forward, and backward down to the input."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.forwards = 0
        self.backwards = 0

    def forward(self, x):
        self.forwards += len(x)
        if x.requires_grad:
            x.register_hook(lambda grad: setattr(self, "backwards", self.backwards + len(grad)))
        return self.model(x)
