"""A copy of a module, also where a pass has left tensors on it that still hang on a graph."""

from collections.abc import Iterator
from copy import deepcopy

from torch import Tensor, nn

from xnb.check import refuse


def copy_module(model: nn.Module) -> nn.Module:
    """Return a deep copy of the module.

    torch copies no tensor that came out of a differentiable operation, and hooks of weight norm and pruning, or a
    module that keeps its activations, leave such tensors on the module. They are copied as constants.

    Raises:
        ValueError: something else on the module cannot be copied.
    """
    constants = {}
    for tensor in _find_tensors([vars(module) for module in model.modules()]):
        if tensor.grad_fn is not None:
            constants[id(tensor)] = tensor.detach().clone()
    try:
        return deepcopy(model, dict(constants))
    except (RuntimeError, TypeError, NotImplementedError) as error:
        rule = "copy: every attribute of the model must be one that copy.deepcopy takes"
        refuse(rule, f"{type(error).__name__}: {error}", "del model.attribute  # the one that is named above")


def _find_tensors(value: object) -> Iterator[Tensor]:
    """Tensors among attributes, in lists, tuples and dicts too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _find_tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _find_tensors(item)
