"""A grammar of networks: every row of words is one, as a word that does not fit to what comes before is left out.

A word is the name of a layer, or a pair: a join and the words of the branch that it joins. So a case can be written
down in a line, and made smaller by leaving words out.
"""

from functools import partial

import torch
from fuzz_modules import Attention, ClassToken, Function, Join, Positions, Recurrent, Twice, WrittenAttention
from torch import nn
from torch.nn import functional as F

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def _write_into(x):
    x = x.clone()
    x[:, :1] = x[:, :1] * 0.5
    return x


def _normalise(x):
    return x / (x.square().mean(1, keepdim=True) + 0.1).sqrt()


# Functions of any signal, by name; none moves axes.
FUNCTIONS = {
    "F.relu": F.relu,
    "x.relu_()": lambda x: (x + 0).relu_(),
    "torch.tanh": torch.tanh,
    "clamp": lambda x: x.clamp(-1, 1),
    "abs": torch.abs,
    "square": torch.square,
    "x * 0.5 + 0.1": lambda x: x * 0.5 + 0.1,
    "add_ in place": lambda x: (x * 1).add_(0.1),
    "x * sigmoid(x)": lambda x: x * x.sigmoid(),
    "write into": _write_into,
    "normalise": _normalise,
    "chunks added": lambda x: sum(x.chunk(2, 1)) if x.shape[1] % 2 == 0 else x,
    "cat twice": lambda x: torch.cat([x, -x], 1),
    "flip": lambda x: x.flip(-1),
    "roll": lambda x: x.roll(1, -1),
    "maximum": lambda x: torch.maximum(x, 0.1 * x),
    "where": lambda x: torch.where(x > 0, x, 0.3 * x),
    "softmax": lambda x: x.softmax(1),
    "leave out a place": lambda x: x[..., 1:] if x.shape[-1] > 2 else x,
    "mean taken off": lambda x: x - x.mean(-1, keepdim=True),
    "F.dropout": lambda x: F.dropout(x, 0.5, training=False),
    "transpose and back": lambda x: x.transpose(1, -1).contiguous().transpose(1, -1),
}
MODULES = {
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "relu6": nn.ReLU6,
    "leaky relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "hardswish": nn.Hardswish,
    "mish": nn.Mish,
    "dropout": lambda: nn.Dropout(0.5),
    "identity": nn.Identity,
}


def _of_places(make):
    """A layer of signals, pictures and volumes, from channels and the number of axes of places."""
    return lambda shape, tokens: None if tokens or len(shape) < 2 else make(shape[0], len(shape) - 1)


def _of_tokens(make):
    """A layer of tokens, from how many there are and their width."""
    return lambda shape, tokens: make(*shape) if tokens else None


PLACES = {
    "conv": lambda C, n: CONV[n](C, 4, 3, padding=1),
    "conv without bias": lambda C, n: CONV[n](C, 4, 3, padding=1, bias=False),
    "conv 1": lambda C, n: CONV[n](C, 4, 1),
    "conv 2": lambda C, n: CONV[n](C, 4, 2),
    "strided conv": lambda C, n: CONV[n](C, 4, 3, stride=2, padding=1),
    "dilated conv": lambda C, n: CONV[n](C, 4, 3, padding=2, dilation=2),
    "depthwise conv": lambda C, n: CONV[n](C, C, 3, padding=1, groups=C),
    "circular conv": lambda C, n: CONV[n](C, 4, 3, padding=1, padding_mode="circular"),
    "transposed conv": lambda C, n: TRANSPOSED[n](C, 4, 2, stride=2),
    "batch norm": lambda C, n: BATCH_NORM[n](C),
    "plain batch norm": lambda C, n: BATCH_NORM[n](C, affine=False),
    "group norm": lambda C, n: nn.GroupNorm(1, C),
    "instance norm": lambda C, n: INSTANCE_NORM[n](C, affine=True),
    "max pool": lambda C, n: MAX_POOL[n](2),
    "overlapping max pool": lambda C, n: MAX_POOL[n](3, stride=2, padding=1, ceil_mode=True),
    "average pool": lambda C, n: AVERAGE_POOL[n](2, padding=1),
    "adaptive pool": lambda C, n: ADAPTIVE_POOL[n](2),
    "upsample": lambda C, n: nn.Upsample(scale_factor=2),
    "reflected border": lambda C, n: Function(lambda x: F.pad(x, [1] * 2 * n, mode="reflect")),
    "zero border": lambda C, n: Function(lambda x: F.pad(x, [1, 0] * n)),
}
TOKENS = {
    "linear of tokens": lambda N, D: nn.Linear(D, 4),
    "layer norm": lambda N, D: nn.LayerNorm(D),
    "attention": lambda N, D: Attention(D, 2 if D % 2 == 0 else 1),
    "written attention": lambda N, D: WrittenAttention(D),
    "encoder layer": lambda N, D: nn.TransformerEncoderLayer(D, 1, 8, batch_first=True, norm_first=True),
    "lstm": lambda N, D: Recurrent(nn.LSTM(D, 4, batch_first=True)),
    "gru": lambda N, D: Recurrent(nn.GRU(D, 2, batch_first=True, bidirectional=True)),
    "class token": lambda N, D: ClassToken(D),
    "positions": lambda N, D: Positions(N, D),
}
TABLES = {
    "linear": lambda F: nn.Linear(F, 6),
    "batch norm of features": lambda F: nn.BatchNorm1d(F),
    "layer norm of features": lambda F: nn.LayerNorm(F),
}
# What makes another kind of signal: tokens of places, places of tokens, a table of either.
KINDS = {
    "tokens": _of_places(lambda C, n: Function(lambda x: x.flatten(2).transpose(1, 2))),
    "places": lambda shape, tokens: Function(lambda x: x.transpose(1, 2)) if tokens else None,
    "flatten": lambda shape, tokens: nn.Flatten() if len(shape) > 1 else None,
}
JOINS = {
    "residual": lambda x, y: x + y,
    "residual in place": lambda x, y: y.clone().add_(x),
    "product": lambda x, y: x * y,
    "difference": lambda x, y: x - y,
    "concatenation": lambda x, y: torch.cat([x, y], 1),
    "gate": lambda x, y: x * y.sigmoid(),
}
HEADS = {
    "mean": lambda x: x.flatten(2).mean(2) if x.ndim > 2 else x,
    "mean of tokens": lambda x: x.mean(1).flatten(1) if x.ndim > 2 else x,
    "first token": lambda x: x[:, 0].flatten(1) if x.ndim > 2 else x,
    "flat": lambda x: x.flatten(1),
    "largest": lambda x: x.flatten(2).amax(2) if x.ndim > 2 else x,
}


def _of_any(make):
    """A layer of any signal."""
    return lambda shape, tokens: make()


def _of_tables(make):
    """A layer of a table, from how many features it has."""
    return lambda shape, tokens: make(*shape) if len(shape) == 1 else None


LAYERS = {
    **{name: _of_any(partial(Function, run)) for name, run in FUNCTIONS.items()},
    **{name: _of_any(make) for name, make in MODULES.items()},
    **{name: _of_places(make) for name, make in PLACES.items()},
    **{name: _of_tokens(make) for name, make in TOKENS.items()},
    **{name: _of_tables(make) for name, make in TABLES.items()},
    **KINDS,
}


def build(words, shape, *, head="flat", classes=3, tokens=False):
    """The network of some words for inputs of a shape, in double precision, every weight drawn, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        x = torch.randn(2, *shape, dtype=torch.double)
        layers, x, _ = _build_row(words, x, tokens)
        layers.append(Function(HEADS[head]))
        layers.append(nn.Linear(layers[-1](x).shape[1], classes).double())
        net = nn.Sequential(*layers).double().eval()
        _draw(net)
    return net


@torch.no_grad()
def _build_row(words, x, tokens):
    layers = []
    for word in words:
        layer = _build_layer(word, x, tokens)
        out = None if layer is None else _try_layer(layer, x)
        if out is not None:
            layers.append(layer)
            x = out
            tokens = _are_tokens(word, x, tokens)
    return layers, x, tokens


def _build_layer(word, x, tokens):
    if isinstance(word, str):
        try:
            layer = LAYERS[word](tuple(x.shape[1:]), tokens)
        except (ValueError, AssertionError):
            return None
        return None if layer is None else layer.double().eval()
    join, inner = word
    layers, out, _ = _build_row(inner, x, tokens)
    if not layers or out.ndim != x.ndim or (join == "twice" and out.shape != x.shape):
        return None
    body = nn.Sequential(*layers).eval()
    return Twice(body).eval() if join == "twice" else Join(body, JOINS[join]).eval()


def _try_layer(layer, x):
    """What a layer returns, None where it does not run, or leaves nothing."""
    try:
        out = layer(x.clone())
    except (RuntimeError, ValueError, IndexError):
        return None
    small = 0 < out[0].numel() <= 4096
    return out if small and out.isfinite().all() else None


def _are_tokens(word, x, tokens):
    if x.ndim != 3:
        return False
    return {"tokens": True, "places": False}.get(word, tokens)


@torch.no_grad()
def _draw(net):
    """Weights and statistics that hide nothing: as they start, norms and biases would."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    for weights in net.parameters():
        if weights.ndim < 2:
            weights.add_(0.2 * torch.randn_like(weights))


def _keep(found, name, module, args, out):
    found.setdefault(name, []).append(out)


def list_layers(model, x):
    """Names of modules that are called once and return maps, (B, D, *places) with as many places as the input."""
    shapes, hooks = {}, []
    for name, module in model.named_modules():
        if name and not any(module.children()):
            hooks.append(module.register_forward_hook(partial(_keep, shapes, name)))
    with torch.no_grad():
        try:
            model(x[:1].clone())
        except (RuntimeError, IndexError):
            return []
        finally:
            for hook in hooks:
                hook.remove()
    once = {name: outs[0] for name, outs in shapes.items() if len(outs) == 1 and isinstance(outs[0], torch.Tensor)}
    return [name for name, out in once.items() if out.ndim == x.ndim > 2]
