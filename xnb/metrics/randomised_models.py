"""Copies of a model whose parameters were drawn again; the model itself is never touched."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Literal

import torch
from torch import nn

from xnb.check import require

Order = Literal["top_down", "bottom_up"]


def cascade_randomisation(
    model: nn.Module, *, order: Order = "top_down", layers: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Yield, layer by layer, a new copy of the model in which it and those before it in `order` are random.

    A layer is given by the name of a module, and stands for all below it that is not a layer itself. Both orders
    end at the same model, `randomised_copy(model, seed=seed)`.

    Raises:
        ValueError: `model` is no module, `order` is unknown, or a layer is not in the model or has no parameters.
    """
    for name, copy in randomise_stepwise(model, order=order, layers=layers, seed=seed):
        yield name, deepcopy(copy)


def randomise_stepwise(
    model: nn.Module, *, order: Order = "top_down", layers: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Yield what `cascade_randomisation` does as one copy that changes from step to step.

    That is quicker, and right for a caller who is done with the copy before the next step.

    Raises:
        ValueError: as `cascade_randomisation`.
    """
    require(order in ("top_down", "bottom_up"), "cascade: order must be top_down or bottom_up", order)
    random_state = randomised_copy(model, seed=seed).state_dict()
    copy = deepcopy(model)
    state = copy.state_dict()
    names = list(layers or parameter_layers(model))
    layer_of = {key: _innermost_layer(key, names) for key in random_state}
    for name in names[::-1] if order == "top_down" else names:
        known = name in layer_of.values()
        hint = f"one of {parameter_layers(model)[:6]}"
        require(known, "cascade: a layer must be a module with parameters", name, hint)
        for key in random_state:
            if layer_of[key] == name:
                state[key].copy_(random_state[key])  # a state shares its memory with the module
        yield name, copy


def parameter_layers(model: nn.Module) -> list[str]:
    """Names of the modules with parameters of their own, in the order in which the network declares them.

    Raises:
        ValueError: `model` is no module.
    """
    _require_module(model)
    owners = [name.rpartition(".")[0] for name, _ in model.named_parameters()]
    return list(dict.fromkeys(owners))  # each once, in order


def _require_module(model: nn.Module) -> None:
    require(isinstance(model, nn.Module), "randomised: only an nn.Module has parameters", model, "a torch.nn.Module")


def _innermost_layer(key: str, layers: list[str]) -> str | None:
    """Return the innermost of the layers that an entry of a state lies in, None where it lies in none."""
    around = [name for name in layers if not name or key.startswith(f"{name}.")]
    return max(around, key=len, default=None)


def randomised_copy(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Return a copy with all parameters drawn again by each module's own rule; where it has none they are shuffled.

    Raises:
        ValueError: `model` is no module.
    """
    _require_module(model)
    copy = deepcopy(model)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for module in copy.modules():
            _redraw_parameters(module)
    return copy


def _redraw_parameters(module: nn.Module) -> None:
    """Draw the parameters that belong to the module itself; those of its children are drawn with them."""
    own = list(module.parameters(recurse=False))
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if own and reset is not None:
        reset()
        return
    for parameter in own:
        order = torch.randperm(parameter.numel())
        parameter.copy_(parameter.flatten()[order].view_as(parameter))
