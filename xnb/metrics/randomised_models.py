"""Copies of a model whose parameters were drawn again; the model itself is never touched."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm

from xnb.access.copies import copy_module
from xnb.access.draws import make_generator, mix_seed
from xnb.check import require

Order = Literal["top_down", "bottom_up"]
# A correlation of n values with n others is 1 / sqrt(n) by chance; beyond this many times that it is none.
_BEYOND_CHANCE = 5
_POWER_STEPS = 30


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
        yield name, copy_module(copy)


def randomise_stepwise(
    model: nn.Module, *, order: Order = "top_down", layers: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Yield what `cascade_randomisation` does as one copy that changes from step to step.

    That is quicker, and right for a caller who is done with the copy before the next step.

    Raises:
        ValueError: as `cascade_randomisation`.
    """
    rule = "cascade: order must be top_down or bottom_up"
    require(order in ("top_down", "bottom_up"), rule, order, 'order="top_down"')
    random_state = randomised_copy(model, seed=seed).state_dict()
    copy = copy_module(model)
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
    require(
        isinstance(model, nn.Module),
        "randomised: only an nn.Module has parameters",
        model,
        "xnb.metrics.random_logit(model, x, target, attribution, method=method)",
    )


def _innermost_layer(key: str, layers: list[str]) -> str | None:
    """Return the innermost of the layers that an entry of a state lies in, None where it lies in none."""
    around = [name for name in layers if not name or key.startswith(f"{name}.")]
    return max(around, key=len, default=None)


def randomised_copy(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Return a copy with all parameters drawn again by each module's own rule; where it has none they are shuffled.

    The stream of random numbers is one of its own: a network made after `torch.manual_seed(seed)` does not get its
    own start back. What a rule draws is not believed but looked at: a parameter that did not move, or goes along with
    what it was, is shuffled. A parameter whose values are all equal says nothing about training and may stay.

    Raises:
        ValueError: `model` is no module, has nothing that can be drawn again, or cannot be copied.
    """
    _require_module(model)
    copy = copy_module(model)
    before = {name: parameter.detach().clone() for name, parameter in copy.named_parameters()}
    # Rules of modules draw from torch's global generator, which is lent and given back as it was.
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(mix_seed("randomised copy", seed))
        for module in copy.modules():
            _draw_parameters(module)
        for name, parameter in copy.named_parameters():
            if _resembles(parameter, before[name]):
                _shuffle_values(parameter, before[name])
        for module in copy.modules():
            _renew_spectral_norm(module)
    moved = any(not torch.equal(parameter, before[name]) for name, parameter in copy.named_parameters())
    rule = "randomised: at least one parameter must have values that differ"
    require(
        moved,
        rule,
        f"{len(before)} parameters, none of which can be drawn again",
        "xnb.metrics.random_logit(model, x, target, attribution, method=method)",
    )
    return copy


def permuted_copy(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Return a copy whose parameters are shuffled, each tensor within itself; running statistics stay.

    It keeps the size of every weight, so that signals stay as large as they were. A fresh batch norm in evaluation
    lets them die: the random copy of a deep network may answer the same to every picture, and its map explains a
    constant. What is the same in both controls does not come from what the network learned.

    Raises:
        ValueError: `model` is no module, or has no parameter whose values differ.
    """
    _require_module(model)
    copy = copy_module(model)
    generator = make_generator("permuted copy", seed)
    moved = False
    with torch.no_grad():
        for parameter in copy.parameters():
            before = parameter.flatten().clone()
            if bool((before != before[:1]).any()):
                _shuffle_values(parameter, before, generator)
                moved = True
        for module in copy.modules():
            _renew_spectral_norm(module)
    rule = "permuted: at least one parameter must have values that differ"
    require(moved, rule, model, "xnb.metrics.random_logit(model, x, target, attribution, method=method)")
    return copy


def noisy_copy(model: nn.Module, *, deviation: float, seed: int = 0) -> nn.Module:
    r"""Return a copy whose parameters are each multiplied by a draw from :math:`N(1, \sigma^2)`; buffers stay.

    A deviation of 0.001 hardly moves an output, one of 2 leaves nothing of what was learned: two ends between which a
    network is told from a random one. A parameter of 0 stays 0.

    Args:
        deviation: of the factors.
        seed: of the factors.

    Raises:
        ValueError: `model` is no module, or cannot be copied.

    Source: NoiseGrad, Bykov et al. 2022, arXiv:2106.10185
    """
    _require_module(model)
    copy = copy_module(model)
    generator = make_generator("noisy copy", seed)
    with torch.no_grad():
        for parameter in copy.parameters():
            factors = 1 + deviation * torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.mul_(factors.to(parameter))
    return copy


def _draw_parameters(module: nn.Module) -> None:
    """Draw the parameters that belong to the module itself, by its own rule if it has one."""
    own = list(module.parameters(recurse=False))
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if own and reset is not None:
        with suppress(TypeError):  # a rule that wants arguments is none that could be followed
            reset()
            return
    for parameter in own:
        if parameter.numel() == 1:  # it cannot be shuffled, so it gets a random factor
            parameter.mul_(torch.randn((), dtype=torch.float32))


def _resembles(values: Tensor, before: Tensor) -> bool:
    """Return whether values that are not all equal are the old ones still, or go along with them beyond chance."""
    if torch.equal(values, before):
        return values.numel() > 1 and bool((values != values.flatten()[0]).any())
    pair = torch.stack([values.flatten(), before.flatten()]).double()
    centred = pair - pair.mean(1, keepdim=True)
    lengths = centred.norm(dim=1).prod()
    chance = _BEYOND_CHANCE / values.numel() ** 0.5
    if lengths > 0:
        return bool(centred.prod(0).sum().abs() > chance * lengths)
    return False


def _shuffle_values(
    parameter: Tensor,
    before: Tensor,
    generator: torch.Generator | None = None,
) -> None:
    """Put the old values at random places; of two values it is sure that they change places."""
    values = before.flatten()
    shuffled = values
    while torch.equal(shuffled, values):
        order = torch.randperm(len(values), generator=generator)
        shuffled = values[order.to(values.device)]
    parameter.copy_(shuffled.view_as(parameter))


def _renew_spectral_norm(module: nn.Module) -> None:
    """Find the largest singular value of a weight that was drawn again: the stored vectors belong to the old one."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm):
            for _ in range(_POWER_STEPS):
                hook.compute_weight(module, do_power_iteration=True)
    norms = [part for part in module.children() if "_u" in dict(part.named_buffers(recurse=False))]
    if isinstance(module, ParametrizationList) and norms:
        for norm in norms:
            norm.train()  # it takes a step of the power method at each call in training mode alone
        for _ in range(_POWER_STEPS):
            module()
        for norm in norms:
            norm.train(module.training)
