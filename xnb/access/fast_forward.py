"""The forward method of a fast form: in mixed precision, compiled, and as it is where a pass is looked into."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._pytree import tree_leaves, tree_map_only

_LOOKED_INTO: ContextVar[bool] = ContextVar("looked into", default=False)
MIXED_DTYPE = torch.bfloat16  # the exponents of float32: no slope becomes zero or infinite for want of them


@contextmanager
def look_inside() -> Iterator[None]:
    """Within the block a fast form runs as it is: whoever looks at its modules sees them run, in single precision."""
    token = _LOOKED_INTO.set(True)
    try:
        yield
    finally:
        _LOOKED_INTO.reset(token)


def is_looked_into() -> bool:
    """Whether modules or functions of the pass that runs now are looked at, or changed, by anyone."""
    modes = _get_current_function_mode_stack()
    # torch's own mode, of `torch.set_default_device`, looks at nothing
    return _LOOKED_INTO.get() or not all(isinstance(mode, DeviceContext) for mode in modes)


class FastForward:
    """Stands in the place of a module's `forward`; copies of the module get one of their own.

    Args:
        run: the forward method that it stands for.
        mixed_precision: convolutions and products of matrices in bfloat16; what comes out is single precision.
        compiled: run the code that torch.compile makes; a tensor that passes for a batch, as in incremental occlusion,
            still sees every operation.
    """

    def __init__(self, run: Callable[..., Any], mixed_precision: bool, compiled: bool) -> None:
        self.run = run
        self.mixed_precision = mixed_precision
        self.compiled = compiled
        self._code: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_looked_into():
            return self.run(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        # a tensor of another class, as in incremental occlusion, has to see every operation
        plain = all(type(tensor) in (Tensor, nn.Parameter) for tensor in tensors)
        run = self._find_code() if self.compiled and plain else self.run
        if not self.mixed_precision or not tensors:
            return run(*args, **kwargs)
        with torch.autocast(tensors[0].device.type, dtype=MIXED_DTYPE):
            out = run(*args, **kwargs)
        return tree_map_only(Tensor, _widen, out)

    def _find_code(self) -> Callable[..., Any]:
        if self._code is None:
            self._code = torch.compile(self.run)
        return self._code

    def __getstate__(self) -> dict[str, object]:
        """Compiled code holds the weights that it was made with: a copy compiles anew."""
        return {**vars(self), "_code": None}


def _widen(out: Tensor) -> Tensor:
    """The same numbers in single precision."""
    return out.float() if out.dtype == MIXED_DTYPE else out


class FastSteps(NamedTuple):
    """What a model does to be fast, as `FastForward` has it."""

    mixed_precision: bool
    compiled: bool


def read_steps(model: nn.Module) -> FastSteps:
    """The steps that a model takes in its forward passes; none where it is no fast form."""
    forward = model.forward
    if isinstance(forward, FastForward):
        return FastSteps(forward.mixed_precision, forward.compiled)
    return FastSteps(mixed_precision=False, compiled=False)


def add_steps(model: nn.Module, steps: FastSteps) -> None:
    """Let `model`, which is nobody else's, take these steps beside its own; its modules keep their names."""
    own = read_steps(model)
    forward = model.forward
    run = forward.run if isinstance(forward, FastForward) else forward
    mixed_precision = own.mixed_precision or steps.mixed_precision
    compiled = own.compiled or steps.compiled
    if mixed_precision or compiled:
        model.forward = FastForward(run, mixed_precision, compiled)
