"""Inputs that are read when they are asked for, so that data may be larger than memory."""

import re
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from xnb.check import is_finite, is_out_of_memory, raise_again, refuse, require
from xnb.data.split import Part

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SAMPLED = 64  # inputs by which data are known again


class Readable(NamedTuple):
    """Inputs that could be read, by their places among those that were asked for, and why others could not."""

    part: Part | None
    places: list[int]
    errors: dict[int, str]


class Streamed:
    """A data set that is read input by input: `streamed[rows]` is a `Part` of these inputs alone.

    Use it where `Part` would not fit into memory. The order is that of the data set: of a `DataLoader`, its data set
    and the way it collates are taken, not its shuffling.

    Args:
        items: a `Dataset` with a length, a `DataLoader` of one, or a list. An item is `(x, y)` or `(x, y, mask)`,
            all inputs of one shape.
        read: makes such a pair of an item that is something else, `lambda item: (item["image"], item["label"])`.

    Raises:
        ValueError: no length, an item that is no such pair, or one that differs from one reading to the next.
    """

    def __init__(
        self,
        items: Dataset | DataLoader | Sequence[Any],
        *,
        read: Callable[[Any], tuple] | None = None,
    ) -> None:
        loader = items if isinstance(items, DataLoader) else None
        source: Any = items if loader is None else loader.dataset
        self.items = source
        self.collate: Callable = default_collate if loader is None else loader.collate_fn
        self.read = read
        rule = "data: what is streamed must have a length, and items by number"
        numbered = hasattr(self.items, "__len__") and not isinstance(self.items, IterableDataset)
        require(numbered, rule, self.items, "xnb.data.Streamed(list(dataset))")
        self.positions: Sequence[int] = range(len(self.items))
        self.shape: torch.Size | None = None  # that of all inputs, seen in the first
        if len(self.items):
            self._check_first()

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: slice | Tensor) -> Part:
        """Read the selected inputs, as a part."""
        return self._join([self._read_item(position) for position in self._locate(rows)])

    def select(self, rows: Sequence[int]) -> "Streamed":
        """Return the selected inputs, streamed as well."""
        subset = copy(self)  # what was checked is not read again
        subset.positions = [self.positions[row] for row in rows]
        return subset

    def read_readable(self, rows: slice | Tensor) -> Readable:
        """Read the selected inputs, but those on whose reading an error comes: one bad file must not end a long run."""
        items, places, errors = [], [], {}
        for place, position in enumerate(self._locate(rows)):
            try:
                items.append(self._read_item(position))
                places.append(place)
            except Exception as problem:
                if is_out_of_memory(problem):  # that is no property of the input
                    raise_again(problem)
                reason = f"{type(problem).__name__}: {problem}"
                # an address in memory is another in each run, and a file of results must not be
                errors[place] = _ADDRESS.sub("", reason)
        part = self._join(items) if items else None
        return Readable(part, places, errors)

    def sample(self) -> Part:
        """Read inputs from all over the data, by which they are known again."""
        count = min(_SAMPLED, len(self))
        places = torch.linspace(0, len(self) - 1, count).long()
        read = self.read_readable(places)
        if read.part is None:
            refuse("data: an input must be readable; none of some was", read.errors[0], "dataset[0]  # shows why")
        return read.part

    def _locate(self, rows: slice | Tensor) -> list[int]:
        if isinstance(rows, slice):
            return list(self.positions[rows])
        return [self.positions[row] for row in rows.tolist()]

    def _check_first(self) -> None:
        """Read the first input twice: it must be a pair, and the same each time."""
        first = self._read_pair(0)
        self.shape = torch.as_tensor(first[0]).shape
        again = torch.as_tensor(self._read_pair(0)[0])
        same = torch.equal(torch.as_tensor(first[0]), again)
        rule = "data: an input must be the same each time that it is read, or no run could go on with it"
        require(same, rule, "two readings of input 0 that differ", "dataset.transform = transform_without_randomness")

    def _read_pair(self, position: int) -> tuple:
        item = self.items[position]
        pair = item if self.read is None else self.read(item)
        if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
            _refuse_item(pair, 'xnb.data.Streamed(dataset, read=lambda item: (item["image"], item["label"]))')
        if not isinstance(pair[0], Tensor | np.ndarray):
            _refuse_item(pair[0], "dataset.transform = torchvision.transforms.ToTensor()")
        return tuple(pair)

    def _read_item(self, position: int) -> tuple:
        pair = self._read_pair(position)
        x = torch.as_tensor(pair[0])
        shape = tuple(x.shape)
        hint = "dataset.transform = torchvision.transforms.Resize((224, 224))  # before ToTensor()"
        require(x.shape == self.shape, f"data: inputs must be of one shape, {tuple(self.shape or ())}", shape, hint)
        hint = "xnb.data.Streamed(dataset, read=lambda item: (item[0].nan_to_num(), item[1]))"
        require(is_finite(x), "data: inputs must be finite", x, hint)
        return pair

    def _join(self, items: list[tuple]) -> Part:
        return Part(*self.collate(items))


def _refuse_item(item: object, hint: str) -> NoReturn:
    refuse("data: an item that is streamed must be (x, y) or (x, y, mask), x a tensor", item, hint)
