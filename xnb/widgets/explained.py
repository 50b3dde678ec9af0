"""What a widget explains: its own copy of a model, and inputs with what is known of them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypedDict

import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from xnb.access.score import logits
from xnb.check import refuse, require
from xnb.data import Part, Split
from xnb.types import Batch, Masks, Model, Target

Data: TypeAlias = Split | Part | Tensor


@dataclass(frozen=True, eq=False)
class Subject:
    """A copy of a model in evaluation mode, and the inputs that it is explained on.

    Attributes:
        source: the inputs as an expression of Python, for the code that a widget offers to copy.
        y: true classes of the inputs that were not uploaded, as are `masks` and `evidence`.
        features: names of a table's columns.
        uploads: how many inputs at the end were uploaded; nothing is known of those.
    """

    model: Model
    x: Batch
    classes: tuple[str, ...]
    source: str
    y: Int[Tensor, " known"] | None = None
    masks: Bool[Tensor, "known 1 H W"] | None = None
    evidence: Int[Tensor, "known N K"] | None = None
    features: tuple[str, ...] = ()
    uploads: int = 0

    def input(self, row: int) -> Batch:
        """One input, as a batch."""
        return self.x[row : row + 1]

    @property
    def module(self) -> nn.Module:
        """The model, for widgets that look into its layers.

        Raises:
            ValueError: a plain function, which has none.
        """
        if not isinstance(self.model, nn.Module):
            hint = "xnb.widgets.explore(model, x)  # takes functions"
            refuse("widgets: the model must be a module", self.model, hint)
        return self.model

    def class_probabilities(self, row: int) -> Float[NDArray, " K"]:
        """Probability of each class for one input."""
        out = logits(self.model, self.input(row))
        return out[0].softmax(0).cpu().numpy()

    def predicted_class(self, row: int) -> int:
        """Most probable class of one input."""
        return int(self.class_probabilities(row).argmax())

    def target_of(self, index: int) -> Target:
        """A class as a batch of one, as methods take it."""
        return torch.tensor([index], device=self.x.device)

    def class_names(self, indices: Sequence[int]) -> list[str]:
        return [self.classes[index] for index in indices]

    def true_class(self, row: int) -> str:
        """Name of the true class, or nothing where it is not known."""
        if self.y is None or self.is_upload(row):
            return ""
        return self.classes[int(self.y[row])]

    def mask(self, row: int) -> Bool[Tensor, "H W"] | None:
        """Pixels of the true evidence, where they are known."""
        if self.masks is None or self.is_upload(row):
            return None
        return self.masks[row, 0]

    def is_upload(self, row: int) -> bool:
        """Whether the input was uploaded, so that nothing is known of it."""
        return row >= len(self.x) - self.uploads

    def add_upload(self, x: Batch) -> "Subject":
        """Return the same with one uploaded input more."""
        inputs = torch.cat([self.x, x.to(self.x)])
        return replace(self, x=inputs, uploads=self.uploads + 1)


class _Facts(TypedDict):
    """What a data set may know of its inputs."""

    y: Target | None
    masks: Masks | None
    evidence: Int[Tensor, "B N K"] | None


def prepare_subject(model: Model, data: Data, classes: Sequence[str] | None = None) -> Subject:
    """Collect what a widget explains: the test part of a split, a part, or inputs alone.

    The model is copied, so that a widget may work beside a cell that trains it; a plain function stays what it is.

    Raises:
        ValueError: no inputs, or another number of class names than of logits.
    """
    accepted = isinstance(data, Split | Part | Tensor)
    require(accepted, "widgets: data must be a Split, a Part or a tensor", data, "xnb.widgets.explore(model, x)")
    part = data.test if isinstance(data, Split) else data
    x = part if isinstance(part, Tensor) else part.x
    require(len(x) > 0, "widgets: there must be inputs to show", x, "data.shapes(n=(0, 60))")

    own_model = _copy_model(model)
    count = logits(own_model, x[:1]).shape[1]  # a plain function does not say how many classes it knows
    names = tuple(classes or _default_classes(data, count))
    require(len(names) == count, f"widgets: there must be {count} class names", names, "classes=None")

    features = _feature_names(data, x)
    return Subject(own_model, x, names, _input_source(data), **_known_facts(part), features=features)


def _copy_model(model: Model) -> Model:
    """Return a copy in evaluation mode that nobody else changes."""
    return copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model


def _default_classes(data: Data, count: int) -> Sequence[str]:
    if isinstance(data, Split):
        return data.classes
    return [f"class {k}" for k in range(count)]


def _input_source(data: Data) -> str:
    """Expression of Python for the inputs, where `data` is what the widget was called with."""
    if isinstance(data, Tensor):
        return "data"
    return "data.x" if isinstance(data, Part) else "data.test.x"


def _known_facts(part: Part | Tensor) -> _Facts:
    if isinstance(part, Tensor):
        return {"y": None, "masks": None, "evidence": None}
    return {"y": part.y, "masks": part.masks, "evidence": part.evidence}


def _feature_names(data: Data, x: Tensor) -> tuple[str, ...]:
    """Names of a table's columns, counted where the data set has none; empty for pictures."""
    names = tuple(getattr(data, "features", ()))
    if names or x.ndim != 2:
        return names
    return tuple(f"feature {j}" for j in range(x.shape[1]))


def likeliest_classes(probabilities: NDArray, count: int) -> list[int]:
    """Indices of the most probable classes, the most probable first."""
    order = probabilities.argsort()[::-1]
    return order[:count].tolist()
