"""A copy of a module, also where a pass has left tensors on it that still hang on a graph."""

from collections.abc import Iterator
from copy import deepcopy

from torch import Tensor, nn

from xnb.check import refuse

_AS_IT_IS = "xnb.attribute(model, x, target, 'gradient')  # runs the model itself, and no copy"
_TABLES_OF_TORCH = {"_modules", "_parameters", "_buffers"}  # what they hold is looked at by itself


def copy_module(model: nn.Module) -> nn.Module:
    """Return a deep copy of the module.

    torch copies no tensor that came out of a differentiable operation, and hooks of weight norm and pruning, or a
    module that keeps its activations, leave such tensors on the module. They are copied as constants.

    Raises:
        ValueError: something else on the module cannot be copied.
    """
    constants = {}
    for tensor in _find_stored_tensors([vars(module) for module in model.modules()]):
        if tensor.grad_fn is not None:
            constants[id(tensor)] = tensor.detach().clone()
    try:
        return deepcopy(model, dict(constants))
    except Exception as error:  # whatever a part of the model refuses to have copied
        rule = "copy: every attribute of the model must be one that copy.deepcopy takes"
        refuse(rule, f"{type(error).__name__}: {error}", _suggest_deletion(model, constants))


def _suggest_deletion(model: nn.Module, constants: dict[int, Tensor]) -> str:
    """The line that takes away the first attribute that cannot be copied; where there is none, what needs no copy."""
    for place, module in model.named_modules():
        for name in vars(module).keys() - _TABLES_OF_TORCH:
            if not _allows_copy(vars(module)[name], constants):
                owner = f"model.get_submodule({place!r})" if place else "model"
                return f"del {owner}.{name}  # it cannot be copied"
    return _AS_IT_IS


def _allows_copy(value: object, constants: dict[int, Tensor]) -> bool:
    try:
        deepcopy(value, dict(constants))
    except Exception:
        return False
    return True


def _find_stored_tensors(value: object) -> Iterator[Tensor]:
    """Tensors among attributes, in lists, tuples and dicts too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _find_stored_tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _find_stored_tensors(item)
