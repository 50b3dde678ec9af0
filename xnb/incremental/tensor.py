"""A tensor that passes for a whole batch of occluded pictures and holds what the windows reach."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from xnb.incremental.crops import Crops, layout

RULES: dict[object, Callable] = {}


class Occluded(Tensor):
    """Looks like (n, C, H, W). An operation with a rule works on the crops, any other gets the plain tensor."""

    crops: Crops
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, crops: Crops) -> "Occluded":
        base = crops.base
        C, H, W = base.shape[1:]
        strides = (C * H * W, 1, W * C, C) if layout(base) is torch.channels_last else (C * H * W, H * W, W, 1)
        shape = len(crops.patch), C, H, W
        found = Tensor._make_wrapper_subclass(cls, shape, strides=strides, dtype=base.dtype, device=base.device)
        found.crops = crops
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        rule = RULES.get(func) or next((RULES[tag] for tag in func.tags if tag in RULES), None)
        found = rule(func, *args, **kwargs) if rule else NotImplemented
        if found is not NotImplemented:
            return found
        args, kwargs = tree_map_only(Occluded, lambda x: x.crops.write_out(), (args, kwargs))
        return func(*args, **kwargs)


def rule(*operations: object) -> Callable[[Callable], Callable]:
    """Enter a function as the rule of these operations (or tags of operations); it may answer NotImplemented."""

    def enter(function: Callable) -> Callable:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return enter


def is_open(x: object) -> bool:
    """Whether `x` still is a batch of crops."""
    return isinstance(x, Occluded) and x.crops.later is None and x.crops.written is None
