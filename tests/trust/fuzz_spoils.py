"""What may be odd about a call, by name: harmless where the answer has to be that of the call without it."""

from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from fuzz_networks import Function
from torch import nn
from torch.nn.utils import parametrizations, prune


class Spoil(NamedTuple):
    """What is done to one name of the call, or around the call, and whether it may change nothing."""

    act: Callable
    harmless: bool = False


class Planned(Exception):
    """Raised by a model on purpose: it must come through as it is."""


class Subclass(torch.Tensor):
    """A tensor by another name."""


def _lay_out_last(x):
    """The same values, the channels last in memory."""
    return x.transpose(1, -1).contiguous().transpose(1, -1) if x.ndim > 2 else x.T.contiguous().T


def _make_inference(x):
    with torch.inference_mode():
        return x.clone()


INPUTS = {
    "strided": Spoil(lambda x: torch.stack([x, x], -1)[..., 0], True),
    "channels last": Spoil(_lay_out_last, True),
    "requires grad": Spoil(lambda x: x.clone().requires_grad_(), True),
    "a parameter": Spoil(lambda x: nn.Parameter(x.clone()), True),
    "on a graph": Spoil(lambda x: x.clone().requires_grad_() * 1, True),
    "a view of more": Spoil(lambda x: torch.cat([x[:1], x])[1:], True),
    "a subclass": Spoil(lambda x: x.clone().as_subclass(Subclass), True),
    "an inference tensor": Spoil(_make_inference, True),
    "nan": Spoil(lambda x: x.index_fill(0, torch.tensor(0), torch.nan)),
    "inf": Spoil(lambda x: x.index_fill(0, torch.tensor(0), torch.inf)),
    "no inputs": Spoil(lambda x: x[:0]),
    "whole numbers": Spoil(lambda x: x.long()),
    "truth values": Spoil(lambda x: x > 0),
    "complex": Spoil(lambda x: x.to(torch.complex64)),
    "sparse": Spoil(lambda x: x.to_sparse()),
    "no batch axis": Spoil(lambda x: x[0]),
    "an axis more": Spoil(lambda x: x[None]),
    "twice the channels": Spoil(lambda x: torch.cat([x, x], 1)),
    "a place less": Spoil(lambda x: x[..., 1:]),
    "an array": Spoil(lambda x: x.float().numpy()),
    "a list": Spoil(lambda x: x.tolist()),
    "nothing": Spoil(lambda x: None),
    "on meta": Spoil(lambda x: x.to("meta")),
    "another precision": Spoil(lambda x: x.double() if x.dtype != torch.double else x.float()),
    "a row more": Spoil(lambda x: torch.cat([x, x[:1]])),
}
VALUES = {
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "huge": lambda x: x * 1e18,
    "large": lambda x: x * 1e3,
    "tiny": lambda x: x * 1e-30,
    "few values": lambda x: x.round(),
    "equal rows": lambda x: x[:1].expand_as(x),
    "one place": lambda x: torch.where(torch.arange(x.shape[-1]) == 0, x, 0.0),
}
MAPS = {
    "zeros": torch.zeros_like,
    "constant": lambda a: torch.full_like(a, 0.3),
    "shared channels": lambda a: a.mean(1, keepdim=True),
    "few values": lambda a: a.round(),
    "huge": lambda a: a * 1e30,
    "double": lambda a: a.double(),
    "an array": lambda a: a.float().numpy(),
    "with nan": lambda a: a.index_fill(0, torch.tensor(0), torch.nan),
    "wrong shape": lambda a: a[..., :1, :0],
    "none": lambda a: None,
}
TARGETS = {
    "int32": Spoil(lambda target: target.int(), True),
    "uint8": Spoil(lambda target: target.byte(), True),
    "list": Spoil(lambda target: target.tolist(), True),
    "numpy": Spoil(lambda target: target.numpy(), True),
    "strided target": Spoil(lambda target: torch.stack([target, target], 1)[:, 0], True),
    "one for all": Spoil(lambda target: 0),
    "too large": Spoil(lambda target: target + 5),
    "negative": Spoil(lambda target: target - 1),
    "floats": Spoil(lambda target: target.double()),
    "half a class": Spoil(lambda target: target + 0.5),
    "bools": Spoil(lambda target: target > 0),
    "no target": Spoil(lambda target: None),
    "one too few": Spoil(lambda target: target[1:]),
    "two axes": Spoil(lambda target: target[:, None]),
    "one hot": Spoil(lambda target: torch.nn.functional.one_hot(target, 5)),
    "a word": Spoil(lambda target: "cat"),
}


class Wrapped(nn.Module):
    """A model, and something done to what it returns."""

    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net(x))


def _wrap(change):
    return lambda model: Wrapped(model, change).eval()


def _stop(out):
    raise Planned("the model's own")


class LaterStop(nn.Module):
    """A model that runs so many times, and no more."""

    def __init__(self, net, most=3):
        super().__init__()
        self.net, self.left = net, [most]

    def forward(self, x):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Planned("the model's own")
        return self.net(x)


def _freeze(model):
    return model.requires_grad_(False)


def _fill_gradients(model):
    for weights in model.parameters():
        weights.grad = torch.ones_like(weights)
    return model


def _hook(model):
    model[0].register_forward_hook(lambda module, args, out: None)
    model.register_forward_pre_hook(lambda module, args: None)
    return model


def _find_linear(model):
    return next(module for module in reversed(list(model.modules())) if isinstance(module, nn.Linear))


def _parametrise(model):
    parametrizations.weight_norm(_find_linear(model))
    return model


def _prune(model):
    prune.l1_unstructured(_find_linear(model), "weight", amount=1)
    return model


def _train(model):
    return model.train()


def _put_in_training(model):
    list(model.modules())[-1].train()
    return model


def _compile(model):
    torch._dynamo.reset()
    return torch.compile(model, backend="eager")


MODELS = {
    "frozen": Spoil(_freeze, True),
    "with gradients": Spoil(_fill_gradients, True),
    "with hooks": Spoil(_hook, True),
    "data parallel": Spoil(lambda model: nn.DataParallel(model).eval(), True),
    "in a module": Spoil(_wrap(lambda out: out), True),
    "in a module in training mode": Spoil(lambda model: nn.Sequential(model), True),
    "a function": Spoil(lambda model: lambda x: model(x), True),
    "its call": Spoil(lambda model: model.__call__, True),
    "its forward": Spoil(lambda model: model.forward, True),
    "weight norm": Spoil(_parametrise, True),
    "output in place": Spoil(_wrap(lambda out: (out + 0).mul_(1)), True),
    "output strided": Spoil(_wrap(lambda out: torch.stack([out, out], 2)[..., 0]), True),
    "pruned": Spoil(_prune),
    "compiled": Spoil(_compile),
    "a tuple": Spoil(_wrap(lambda out: (out, out))),
    "a dict": Spoil(_wrap(lambda out: {"logits": out})),
    "a vector": Spoil(_wrap(lambda out: out[:, 0])),
    "an axis too many": Spoil(_wrap(lambda out: out[..., None])),
    "a number": Spoil(_wrap(torch.sum)),
    "an output array": Spoil(_wrap(lambda out: out.detach().float().numpy())),
    "no output": Spoil(_wrap(lambda out: None)),
    "no graph": Spoil(_wrap(lambda out: out.detach())),
    "classes": Spoil(_wrap(lambda out: out.argmax(1))),
    "one row": Spoil(_wrap(lambda out: out[:1])),
    "nan logits": Spoil(_wrap(lambda out: out * torch.nan)),
    "no classes": Spoil(_wrap(lambda out: out[:, :0])),
    "raises": Spoil(_wrap(_stop)),
    "raises later": Spoil(LaterStop),
    "in training": Spoil(_train),
    "a layer in training": Spoil(_put_in_training),
    "no model": Spoil(lambda model: None),
    "a class": Spoil(lambda model: type(model)),
    "weights": Spoil(lambda model: model.state_dict()),
    "constant logits": Spoil(_wrap(lambda out: out * 0)),
    "huge logits": Spoil(_wrap(lambda out: out * 1e30)),
    "ends in a function": Spoil(_wrap(Function(torch.tanh))),
}


@contextmanager
def _default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


CONTEXTS = {
    "no_grad": Spoil(torch.no_grad, True),
    "enable_grad": Spoil(torch.enable_grad, True),
    "default double": Spoil(lambda: _default_dtype(torch.double), True),
    "detect_anomaly": Spoil(lambda: torch.autograd.set_detect_anomaly(True), True),
    "device cpu": Spoil(lambda: torch.device("cpu"), True),
    "remember_answers": Spoil(lambda: _remember(), True),
    "autocast": Spoil(lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
    "inference_mode": Spoil(torch.inference_mode),
}


def _remember():
    from xnb.access.memo import remember_answers

    return remember_answers()


TABLES = {"x": INPUTS, "model": MODELS, "target": TARGETS}


def spoil_scope(scope, spoils):
    """The names of the call, spoilt."""
    scope = dict(scope)
    for spoil in spoils:
        for name, table in TABLES.items():
            if spoil in table:
                scope[name] = table[spoil].act(scope[name])
    return scope


def enter_context(spoils):
    """What is around the call."""
    found = [CONTEXTS[spoil].act for spoil in spoils if spoil in CONTEXTS]
    return found[0]() if found else nullcontext()


def are_harmless(spoils):
    tables = [CONTEXTS, INPUTS, MODELS, TARGETS]
    return all(table[spoil].harmless for spoil in spoils for table in tables if spoil in table)
