"""The type of every data set: a training part and a test part, frozen."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xnb.check import require
from xnb.types import Batch, Target


@dataclass(frozen=True)
class Part:
    """Inputs, their classes and, where the truth is known, what shows the class.

    These are `masks`, what of an input shows it: the pixels of a picture `(B, 1, H, W)`, the steps of a signal, the
    features of a table, 1 along all other axes. For bags it is `evidence`, the sign (-1, 0 or 1) of what instance n of
    a bag says for class k. Where pictures are made of parts, `parts` has the number of the part at each pixel, 0 for
    none.
    """

    x: Batch
    y: Target
    masks: Bool[Tensor, "B ..."] | None = None
    evidence: Int[Tensor, "B N K"] | None = None
    parts: Int[Tensor, "B 1 H W"] | None = None

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self._tensors().values()}
        rule = "Part: x, y, parts, masks and evidence must have the same length"
        least = min(lengths)
        require(
            len(lengths) == 1,
            rule,
            sorted(lengths),
            f"xnb.data.Part(x[:{least}], y[:{least}])",
        )

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> "Part":
        """The same part on a device."""
        moved = {name: values.to(device) for name, values in self._tensors().items()}
        return Part(**moved)

    def __getitem__(self, rows: slice | Tensor) -> "Part":
        """The selected rows, as a part again."""
        selected = {name: values[rows] for name, values in self._tensors().items()}
        return Part(**selected)

    def _tensors(self) -> dict[str, Tensor]:
        """The fields that are present, by name."""
        return {name: values for name, values in vars(self).items() if values is not None}


@dataclass(frozen=True)
class Split:
    """A training part, a test part that shares no input with it, and the names of classes and features.

    `names` are those of the inputs of the test part, such as the files that they were read from.
    """

    train: Part
    test: Part
    classes: tuple[str, ...]
    features: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
