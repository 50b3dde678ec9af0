"""Look into a model for the length of a `with` block.

This is the only file that registers hooks. Whatever happens inside the block, and even when
attaching the n-th hook fails, the model leaves it exactly as it came.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from functools import partial

from torch import Tensor, nn

from xnb.check import require

Hook = Callable[[nn.Module, tuple, object], object]


@contextmanager
def hooked(pairs: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Attach forward hooks for the length of the block."""
    with ExitStack() as stack:
        for module, hook in pairs:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def around(model: nn.Module, before: Callable[..., object], after: Callable[..., object]) -> Iterator[None]:
    """Around every call of every module, `before(name, module, args)` and `after(name, module, args, out)`.

    What they return, unless None, takes the place of the arguments and of the output.
    """
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(partial(before, name)).remove)
            stack.callback(module.register_forward_hook(partial(after, name)).remove)
        yield


def submodule(model: nn.Module, name: str) -> nn.Module:
    """`model.get_submodule(name)`, with the nearest names in the error."""
    names = dict(model.named_modules())
    near = get_close_matches(name, names, n=3, cutoff=0.3) or list(names)[1:6]
    require(name in names, "hooks: no module of that name in the model", name, f"one of {near}")
    return names[name]


@contextmanager
def captured(model: nn.Module, *layers: str) -> Iterator[dict[str, Tensor]]:
    """Outputs of the named layers, still on the graph, filled in by each forward pass."""
    seen: dict[str, Tensor] = {}

    def record(name: str) -> Hook:
        return lambda module, args, out: seen.__setitem__(name, out)

    with hooked([(submodule(model, name), record(name)) for name in layers]):
        yield seen
