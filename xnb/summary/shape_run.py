"""One run of a model that shows the shapes in it: on no values where that will do, else on a copy of the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map_only

from xnb.access.copies import copy_module
from xnb.check import refuse, require

# A batch; several inputs in their order; inputs by name. What is no tensor goes along as it is.
Inputs: TypeAlias = Tensor | Sequence[Any] | Mapping[str, Any]
Result = TypeVar("Result")
Record = Callable[[nn.Module, Inputs, Callable[[Inputs], object]], Result]
_QUANTISED = ("torch.ao.nn.", "torch.nn.quantized", "torch.nn.intrinsic")


def run_shapes(model: nn.Module, x: Inputs, record: Record[Result]) -> Result:
    """What `record` returns of one run of the model.

    The run is on the "meta" device, where tensors have shapes and no values. A model that holds plain tensors, or whose
    control flow depends on values, cannot be run so: a copy of it then runs on the values of `x`.

    Args:
        record: given the model that runs, its inputs, and a function that runs it on these inputs or on others.

    Raises:
        ValueError: modules that have no shapes yet, or whose weights are packed; a model without values that needs
            some; one that neither runs on shapes nor can be copied.
    """
    check_countable(model)
    failure = None
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    try:
        on_meta = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), _plain_containers(x))
        return record(model, on_meta, lambda inputs: functional_call(model, shapes, *_read_arguments(inputs)))
    except Exception as error:  # whatever it is: with values it shows again, or it does not
        failure = f"{type(error).__name__}: {error}"
    tensors = [*state.values(), *tensor_leaves(_plain_containers(x))]
    valued = not any(tensor.is_meta for tensor in tensors)
    rule = "summary: a model without values must run on shapes alone"
    require(valued, rule, failure, 'model = model.to_empty(device="cpu"); x = torch.zeros(x.shape)')
    clone = copy_module(model).requires_grad_(False)
    return record(clone, _plain_containers(x), lambda inputs: _call(clone, inputs))


def check_countable(model: nn.Module) -> None:
    """Refuse modules whose parameters cannot be counted: they have none yet, or have packed them."""
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if any(is_lazy(parameter) for parameter in own):
            rule = "summary: lazy modules have no shapes before the first pass"
            refuse(rule, f"{name}: {type(module).__name__}", "model(x)  # gives them their shapes")
        packed = type(module).__module__.startswith(_QUANTISED) and hasattr(module, "_packed_params")
        if packed or any(parameter.dtype == torch.uint8 for parameter in own):
            rule = "summary: weights must be parameters, and quantised modules pack theirs"
            hint = "xnb.summary.count_parameters(net)  # net: the model before it was quantised"
            refuse(rule, f"{name}: {type(module).__name__}", hint)


def tensor_leaves(tree: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _plain_containers(x: Inputs) -> Inputs:
    """The inputs in a dictionary or tuple of Python's own, whose tensors can be replaced."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Mapping):
        return dict(x)
    hint = "xnb.summary.module_table(model, x)  # x: a tensor, a tuple of inputs, or a dictionary by name"
    require(isinstance(x, Sequence) and not isinstance(x, str), "summary: x must be inputs of the model", x, hint)
    return tuple(x)


def _read_arguments(x: Inputs) -> tuple[tuple, dict[str, Any]]:
    """What the model is called with."""
    if isinstance(x, Mapping):
        return (), dict(x)
    return ((x,), {}) if isinstance(x, Tensor) else (tuple(x), {})


def _call(model: nn.Module, x: Inputs) -> object:
    args, kwargs = _read_arguments(x)
    return model(*args, **kwargs)
