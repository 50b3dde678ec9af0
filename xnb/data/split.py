"""What every data set is: a training and a test part, frozen."""

from dataclasses import dataclass

from torch import Tensor

from xnb.check import require
from xnb.types import Batch, Masks, Target


@dataclass(frozen=True)
class Part:
    """Inputs, their classes and, where the true evidence is known, its masks."""

    x: Batch
    y: Target
    masks: Masks | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y)} | ({len(self.masks)} if self.masks is not None else set())
        require(len(lengths) == 1, "Part: x, y and masks must have the same length", sorted(lengths))

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | Tensor) -> "Part":
        """The chosen rows, as a part again."""
        return Part(self.x[rows], self.y[rows], None if self.masks is None else self.masks[rows])


@dataclass(frozen=True)
class Split:
    """A training part, a test part that shares no input with it, and the names of classes and features."""

    train: Part
    test: Part
    classes: tuple[str, ...]
    features: tuple[str, ...] = ()
