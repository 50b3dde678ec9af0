"""Which batch norms may be folded into the layer before them: seen by torch.fx, or in one recorded pass."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

from xnb.types import Batch

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_LAYER_FUNCTIONS = ("conv1d", "conv2d", "conv3d", "linear")

Pair = tuple[str, str]


def foldable_pairs(model: nn.Module, x: Batch | None = None) -> list[Pair]:
    """Names (convolution or linear, batch norm that takes its output and is alone in it).

    Args:
        x: inputs on which one pass is recorded; without them torch.fx follows the model, if it can.
    """
    pairs = _traced_pairs(model) if x is None else _recorded_pairs(model, x)
    owners = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    owners.update(id(weights) for _, weights in model.named_parameters(remove_duplicate=False))
    foldable = []
    for pair in pairs:
        # a module under two names runs twice, and a weight of two modules is wanted unchanged by one of them
        held = [part for name in pair for part in _own_parts(model.get_submodule(name))]
        own = all(owners[id(part)] == 1 for part in held)
        if own and all(_is_plain(model.get_submodule(name)) for name in pair) and _can_fold(model, *pair):
            foldable.append(pair)
    return foldable


class _LeafTracer(fx.Tracer):
    """Follows a model down to modules without modules inside, whatever these do with the shape of their input."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or next(m.children(), None) is None


def _traced_pairs(model: nn.Module) -> list[Pair]:
    """Modules that torch.fx saw called once each, the second on the output of the first, which goes nowhere else.

    Linear layers are left out: whether a batch norm's axis is theirs depends on the shape of the input.
    """
    try:
        graph = _LeafTracer().trace(model)
    except Exception:  # forward methods fail on symbols in every way there is
        return []
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    pairs = []
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        names = str(source.target), str(node.target)
        called_once = calls[node.target] == calls[source.target] == 1
        # where another function reads the convolution's output or weight too, that one wants it without the norm
        alone = len(source.users) == 1 and not read & set(names)
        if called_once and alone and not isinstance(model.get_submodule(names[0]), nn.Linear):
            pairs.append(names)
    return pairs


class _CallRecord(TorchFunctionMode):
    """What one pass does with the outputs and weights of layers.

    Attributes:
        readers: for each tensor that a function took, by its identity, how many functions did.
        made_by: for each output of a layer, by its identity, the layer's weight.
        norms: (input, running mean) of every batch norm.
        alive: all tensors of the pass, so that no identity is used twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: Counter[int] = Counter()
        self.made_by: dict[int, Tensor] = {}
        self.norms: list[tuple[Tensor, Tensor | None]] = []
        self.alive: list[Any] = []

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        name = function.__name__
        # An identity is given out again once its tensor is gone, so that all tensors must live.
        self.alive.append((args, kwargs, result))
        if isinstance(result, Tensor | tuple | list) and not isinstance(result, torch.Size):
            self.readers.update(_list_identities((args, tuple(kwargs.values()))))
        if name in _LAYER_FUNCTIONS and len(args) > 1:
            self.made_by[id(result)] = args[1]
        if name == "batch_norm" and len(args) > 1:
            self.norms.append((args[0], args[1]))
        return result


def _list_identities(values: Any) -> Iterator[int]:
    """Identities of all tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        yield id(values)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _list_identities(value)


def _recorded_pairs(model: nn.Module, x: Batch) -> list[Pair]:
    """Pairs of which a pass showed that the norm took the very output of the layer, and nobody else did."""
    with torch.no_grad(), _CallRecord() as record:
        out = model(x.clone())
    returned = set(_list_identities(list(out.values()) if isinstance(out, dict) else out))
    layers = {id(module.weight): name for name, module in _modules_with(model, "weight")}
    norms = {id(module.running_mean): name for name, module in _modules_with(model, "running_mean")}
    ran = Counter(id(mean) for _, mean in record.norms)
    pairs = []
    for value, mean in record.norms:
        weight = record.made_by.get(id(value))
        # Whoever else read the value, or ran with the weight, would notice that it was folded.
        once = record.readers[id(value)] == record.readers[id(weight)] == ran[id(mean)] == 1
        on_features = weight is not None and value.ndim == weight.ndim
        known = id(weight) in layers and id(mean) in norms
        if once and on_features and known and id(value) not in returned:
            pairs.append((layers[id(weight)], norms[id(mean)]))
    return pairs


def _modules_with(model: nn.Module, name: str) -> Iterator[tuple[str, Any]]:
    for path, module in model.named_modules():
        if isinstance(getattr(module, name, None), Tensor):
            yield path, module


def _own_parts(module: nn.Module) -> list[object]:
    return [module, *module.parameters(recurse=False)]


def _is_plain(module: nn.Module) -> bool:
    """Whether a module does what its class of torch does with the weights that it holds: no hook, no own forward."""
    kind = type(module)
    plain = next((base for base in (*_CONVOLUTIONS, *_BATCH_NORMS, nn.Linear) if isinstance(module, base)), None)
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    if plain is None or any(hooks) or "forward" in vars(module) or is_parametrized(module):
        return False
    # a weight that is no parameter is computed from others
    own_weight = "weight" in module._parameters
    return own_weight and kind.forward is plain.forward and kind.__call__ is nn.Module.__call__


def _can_fold(model: nn.Module, before: str, norm: str) -> bool:
    """Whether the two are a layer with weights and a batch norm with running statistics."""
    layer = model.get_submodule(before)
    bn = model.get_submodule(norm)
    if not isinstance(bn, _BATCH_NORMS) or bn.running_var is None:
        return False
    if isinstance(layer, nn.Linear):
        return isinstance(bn, nn.BatchNorm1d)
    return isinstance(layer, _CONVOLUTIONS)
