"""Where in a model a function runs, so that a refusal can name the module."""

import traceback
from inspect import currentframe

import torch
from torch import Tensor, nn

from xnb.types import Model


def find_running_module() -> nn.Module | None:
    """The innermost module whose method is running; None in plain functions."""
    for frame, _ in traceback.walk_stack(currentframe()):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module):
            return owner
    return None


def _name_module(model: Model, module: nn.Module | None) -> str | None:
    """The module's name within the model; None where it has none, as the model itself."""
    if not isinstance(model, nn.Module):
        return None
    return next((name for name, other in model.named_modules() if name and other is module), None)


def describe_call(model: Model, function: str, module: nn.Module | None) -> str:
    """`gelu() in blocks.0.mlp (Mlp)`: a function, and the module whose code calls it."""
    if module is None:
        return f"{function}()"
    name = _name_module(model, module)
    kind = type(module).__name__
    if name is None:
        return f"{function}() in {kind}"
    return f"{function}() in {name} ({kind})"


def take_out_softmax(model: Model, module: nn.Module | None) -> str:
    """The line that takes a softmax that is a module out of the model; "" where it is none."""
    name = _name_module(model, module)
    if name is None or not isinstance(module, nn.Softmax | nn.Softmax2d | nn.LogSoftmax):
        return ""
    return f"model.set_submodule({name!r}, torch.nn.Identity())  # what is left are the logits"


def uncompile_around(model: nn.Module, layer: str) -> str:
    """The line that takes the compiled code out that hides a layer; "" where none does."""
    for name, module in model.named_modules():
        if hasattr(module, "_orig_mod") and (not name or f"{layer}.".startswith(f"{name}.")):
            return f"{_take_out_compiled(name)}  # compiled code shows no layers"
    return ""


def _take_out_compiled(name: str) -> str:
    if not name:
        return "model = model._orig_mod"
    return f"model.set_submodule({name!r}, model.get_submodule({name!r})._orig_mod)"


def describe_maker(model: Model, tensor: Tensor) -> tuple[str, str]:
    """Who made a tensor where no function could be seen, and the line that lets them be seen; "" if there is none."""
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    maker = type(tensor.grad_fn).__name__
    for name, module in modules.items():
        if hasattr(module, "_orig_mod"):
            return f"compiled code, {name or 'the model'}", _take_out_compiled(name)
        if isinstance(module, torch.jit.ScriptModule):
            return f"code of torch.jit, {name or 'the model'}: explain the module before it", ""
    if maker.startswith("Checkpoint"):
        return "a part under torch.utils.checkpoint", _switch_off_checkpoints(modules.get(""))
    return f"a {maker}", ""


def _switch_off_checkpoints(model: nn.Module | None) -> str:
    if hasattr(model, "gradient_checkpointing_disable"):
        return "model.gradient_checkpointing_disable()"
    if hasattr(model, "set_grad_checkpointing"):
        return "model.set_grad_checkpointing(False)"
    return ""
