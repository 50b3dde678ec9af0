"""Copies of a model whose parameters were drawn again; the model itself is never touched."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Literal

import torch
from torch import nn

from xnb.check import require

Order = Literal["top_down", "bottom_up"]


def cascade(
    model: nn.Module, *, order: Order = "top_down", layers: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """After each layer a new copy of the model in which it, and those before it in `order`, are random.

    A layer is given by the name of a module, and stands for all below it that is not a layer itself. Both orders
    end at the same model, `randomised(model, seed=seed)`.

    Raises:
        ValueError: `model` is no module, `order` is unknown, or a layer is not in the model or has no parameters.
    """
    for name, copy in dissolving(model, order=order, layers=layers, seed=seed):
        yield name, deepcopy(copy)


def dissolving(
    model: nn.Module, *, order: Order = "top_down", layers: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """`cascade` by one copy that changes from step to step: quicker, for those who are done with it by the next.

    Raises:
        ValueError: as `cascade`.
    """
    require(order in ("top_down", "bottom_up"), "cascade: order must be top_down or bottom_up", order)
    fresh, copy = randomised(model, seed=seed).state_dict(), deepcopy(model)
    state, names = copy.state_dict(), list(layers or own_layers(model))
    homes = {key: home(key, names) for key in fresh}
    for name in names[::-1] if order == "top_down" else names:
        known = name in homes.values()
        require(known, "cascade: a layer must be a module with parameters", name, f"one of {own_layers(model)[:6]}")
        for key in (key for key in fresh if homes[key] == name):
            state[key].copy_(fresh[key])  # a state shares its memory with the module
        yield name, copy


def own_layers(model: nn.Module) -> list[str]:
    """Names of the modules with parameters of their own, in the order in which the network declares them."""
    module_only(model)
    return list(dict.fromkeys(name.rpartition(".")[0] for name, _ in model.named_parameters()))


def module_only(model: nn.Module) -> None:
    require(isinstance(model, nn.Module), "randomised: only an nn.Module has parameters", model, "a torch.nn.Module")


def home(key: str, layers: list[str]) -> str | None:
    """The innermost of the layers that a parameter lies in."""
    return max((name for name in layers if not name or key.startswith(f"{name}.")), key=len, default=None)


def randomised(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """A copy with all parameters drawn again, by each module's own rule; where a module has none they are shuffled.

    Raises:
        ValueError: `model` is no module.
    """
    module_only(model)
    copy = deepcopy(model)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for module in copy.modules():
            redraw(module)
    return copy


def redraw(module: nn.Module) -> None:
    own = list(module.parameters(recurse=False))
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if own and reset is not None:
        reset()
        return
    for weights in own:
        weights.copy_(weights.flatten()[torch.randperm(weights.numel())].view_as(weights))
