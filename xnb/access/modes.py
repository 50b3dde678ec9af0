"""Which module of a model would answer otherwise than in evaluation: one in training mode whose code asks for it."""

from types import CodeType
from typing import Any

from torch import fx, nn

_SWITCHES = {"train", "eval"}  # methods that speak of the mode without answering by it


def find_training(model: nn.Module) -> str | None:
    """Say which part of a model is in training mode, or None.

    A wrapper that is made around a model in evaluation starts in training mode. It counts only if its own code reads
    the mode. An exported graph has no modes: what it was exported with stands in its calls.
    """
    if isinstance(model, fx.GraphModule):
        return _find_training_call(model) or (None if _is_exported(model) else _find_training_module(model))
    return _find_training_module(model)


def _find_training_module(model: nn.Module) -> str | None:
    """The first module in training mode, in words; None if there is none."""
    for name, module in model.named_modules():
        if module.training and not _is_bare_wrapper(module):
            if name:
                return f"{type(module).__name__} {name!r} with training == True"
            return "a module with training == True"
    return None


def _is_bare_wrapper(module: nn.Module) -> bool:
    """Whether a module only holds others, all of them in evaluation, and does not ask for its own mode."""
    parts = list(module.children())
    if not parts or _reads_mode(type(module)):
        return False
    return not any(below.training and not _is_bare_wrapper(below) for part in parts for below in part.modules())


def _reads_mode(kind: type) -> bool:
    """Whether the code of a class, up to what all modules share, asks for `training`."""
    for base in kind.__mro__[: kind.__mro__.index(nn.Module)]:
        for name, member in vars(base).items():
            code = getattr(member, "__code__", None)
            special = name.startswith("__") or name in _SWITCHES
            if code is not None and not special and "training" in _list_names(code):
                return True
    return False


def _list_names(code: CodeType) -> set[str]:
    """Names that a function and those within it ask for."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _list_names(constant)
    return names


def _is_exported(model: fx.GraphModule) -> bool:
    """Whether a graph holds operations as `torch.export` writes them, and no module that has a mode."""
    return any(hasattr(node.target, "_schema") for node in model.graph.nodes)


def _find_training_call(model: fx.GraphModule) -> str | None:
    """The first call of a graph that was exported in training mode: a dropout, a batch norm."""
    for node in model.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        for place, argument in enumerate(schema.arguments if schema is not None else ()):
            if argument.name in {"train", "training"} and _read_argument(node, place, argument.name) is True:
                return f"{node.target} in training mode"
    return None


def _read_argument(node: fx.Node, place: int, name: str) -> Any:
    if name in node.kwargs:
        return node.kwargs[name]
    if place < len(node.args):
        return node.args[place]
    return None
