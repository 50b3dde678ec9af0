"""Marks of tensors that live for one pass, in a table beside the tensors: nothing is written on a tensor itself."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

import torch
from torch import Tensor

Entry = TypeVar("Entry")


class TensorTable(Generic[Entry]):
    """A dictionary with tensors as keys, told apart by identity; an entry goes when its tensor does.

    As `torch.utils.weak.WeakIdKeyDictionary`, ten times as fast: every function of a small network looks up several
    tensors, and is itself a matter of microseconds.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[ReferenceType[Tensor], Entry]] = {}

    def get(self, tensor: object) -> Entry | None:
        """The mark of a tensor; None where there is none, and for what is no tensor."""
        entry = self._entries.get(id(tensor))
        return None if entry is None else entry[1]

    def put(self, tensor: Tensor, mark: Entry) -> Entry:
        """Enter the mark, in place of an earlier one, and return it."""
        # while a tensor lives its id is its own; with the tensor the entry goes, before the id is used again
        self._entries[id(tensor)] = (ref(tensor, self._forgetting(id(tensor))), mark)
        return mark

    def tensors(self) -> list[Tensor]:
        """All tensors that have a mark and still live."""
        found = [reference() for reference, _ in self._entries.values()]
        return [tensor for tensor in found if tensor is not None]

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()

    def _forgetting(self, key: int) -> Callable[[object], None]:
        entries = self._entries

        def forget(_: object) -> None:
            entries.pop(key, None)

        return forget


def share_memory(first: Tensor, second: Tensor) -> bool:
    """Whether a value of one lies where a value of the other does."""
    memory = first.untyped_storage()
    if memory.data_ptr() != second.untyped_storage().data_ptr() or not memory.nbytes():
        return False
    if first.element_size() != second.element_size():
        return True
    taken = torch.zeros(memory.nbytes() // first.element_size(), dtype=torch.bool)
    _lay_over(taken, first).fill_(True)
    return bool(_lay_over(taken, second).any())


def _lay_over(memory: Tensor, tensor: Tensor) -> Tensor:
    """The part of `memory` that lies under a tensor, as the tensor sees its own."""
    return memory.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
