"""How much memory the tensors of a network take: its weights, one pass, and what waits for the backward pass."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from xnb.access.copies import copy_module
from xnb.access.model_call import check_explainable
from xnb.summary.shape_run import check_countable, tensor_leaves
from xnb.types import Batch


class Memory(NamedTuple):
    """Bytes. The weights are there once; the others grow with the number of inputs."""

    weights: int  # parameters and buffers
    forward: int  # most that lives at once in a pass without gradients, beside the weights and the input
    saved: int  # what a pass in training mode leaves for the backward pass


def count_memory(model: nn.Module, x: Batch) -> Memory:
    r"""Return the bytes that a model's tensors take for the inputs `x`, by running a copy and counting what lives.

    A step of training with AdamW needs about

    .. math:: 4 \cdot \text{weights} + \text{saved}

    as every weight has a gradient and two running means beside it; a pass without gradients needs weights + forward.
    On the "meta" device it costs nothing. It misleads as a lower bound: working memory of the kernels, what a backward
    pass makes on the way, and what the allocator does not give back come on top.

    Raises:
        ValueError: lazy or quantised modules; `model` is in training mode.
    """
    check_countable(model)
    check_explainable(model, x)
    clone = copy_module(model)
    state = [*clone.parameters(), *clone.buffers()]
    weights = sum(tensor.nbytes for tensor in state)
    forward = _run_counted(clone, x, torch.no_grad())
    clone.train().requires_grad_(True)
    saved = _run_counted(clone, x, torch.enable_grad())
    return Memory(weights, forward.most, saved.now)


def _run_counted(model: nn.Module, x: Batch, gradients: AbstractContextManager) -> "_LiveBytes":
    """Count what one pass allocates; what is there before it, inputs and weights, is not counted."""
    counter = _LiveBytes([x, *model.parameters(), *model.buffers()])
    with torch.random.fork_rng(devices=[]), gradients, counter:  # dropout draws numbers
        out = model(x)
        counter.freeze()  # as long as `out` lives, so does what its backward pass needs
    del out
    return counter


class _LiveBytes(TorchDispatchMode):
    """Counts the storages that operations make, from then until they die.

    Attributes:
        now: bytes that live.
        most: largest value of `now` so far.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = 0
        self.most = 0
        self.frozen = False
        # by address, which is that of another storage once this one is dead: see `_leave`
        self.known = {tensor.untyped_storage()._cdata for tensor in known}

    def freeze(self) -> None:
        """Leave the counts as they are, whatever dies from now on."""
        self.frozen = True

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: object, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tensor_leaves(out):
            self._enter(tensor.untyped_storage())
        return out

    def _enter(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self.known:  # a view, or a change in place
            return
        size = storage.nbytes()
        self.known.add(address)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, address, size)

    def _leave(self, address: int, size: int) -> None:
        if not self.frozen:
            self.known.discard(address)
            self.now -= size
