"""What every data set is: a training and a test part, frozen."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from xnb.check import require
from xnb.types import Batch, Masks, Target


@dataclass(frozen=True)
class Part:
    """Inputs, their classes and, where the truth is known, what shows the class.

    For pictures `masks`, the pixels that do; for bags `evidence`, the sign (-1, 0 or 1) of what instance n of a bag
    says for class k. Where pictures are made of parts, `parts` has the number of the part at each pixel, 0 for none.
    """

    x: Batch
    y: Target
    masks: Masks | None = None
    evidence: Int[Tensor, "B N K"] | None = None
    parts: Int[Tensor, "B 1 H W"] | None = None

    def __post_init__(self) -> None:
        fields = (self.x, self.y, self.masks, self.evidence, self.parts)
        lengths = {len(values) for values in fields if values is not None}
        require(len(lengths) == 1, "Part: x, y, parts, masks and evidence must have the same length", sorted(lengths))

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> "Part":
        """The same part on a device."""
        fields = (self.x, self.y, self.masks, self.evidence, self.parts)
        return Part(*(None if values is None else values.to(device) for values in fields))

    def __getitem__(self, rows: slice | Tensor) -> "Part":
        """The chosen rows, as a part again."""
        truths = (None if truth is None else truth[rows] for truth in (self.masks, self.evidence, self.parts))
        return Part(self.x[rows], self.y[rows], *truths)


@dataclass(frozen=True)
class Split:
    """A training part, a test part that shares no input with it, and the names of classes and features."""

    train: Part
    test: Part
    classes: tuple[str, ...]
    features: tuple[str, ...] = ()
