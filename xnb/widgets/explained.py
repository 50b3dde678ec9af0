"""What a widget explains: a model of its own, and inputs with what is known of them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xnb.access.score import logits
from xnb.check import require
from xnb.data import Part, Split
from xnb.types import Batch, Masks, Model, Target


@dataclass(frozen=True, eq=False)
class Subject:
    """A private copy of the model in evaluation mode, and inputs; `written` is how the inputs are called in code."""

    model: Model
    x: Batch
    classes: tuple[str, ...]
    written: str
    y: Target | None = None
    masks: Masks | None = None
    evidence: Int[Tensor, "B N K"] | None = None
    features: tuple[str, ...] = ()
    more: int = 0  # inputs at the end that were uploaded

    def input(self, row: int) -> Batch:
        """One input, as a batch."""
        return self.x[row : row + 1]

    def said(self, row: int) -> Float[Tensor, " K"]:
        """Probability of each class for one input."""
        return logits(self.model, self.input(row))[0].softmax(0)

    def truth(self, row: int) -> str:
        """Name of the true class, or nothing where it is not known."""
        return "" if self.y is None or self.own(row) else self.classes[int(self.y[row])]

    def mask(self, row: int) -> Bool[Tensor, "H W"] | None:
        """The true evidence, where it is known."""
        return None if self.masks is None or self.own(row) else self.masks[row, 0]

    def own(self, row: int) -> bool:
        """Whether the input was uploaded, so that nothing is known of it."""
        return row >= len(self.x) - self.more

    def joined(self, x: Batch) -> "Subject":
        """The same with one input more."""
        return replace(self, x=torch.cat([self.x, x.to(self.x)]), more=self.more + 1)


def subject(model: Model, data: Split | Part | Tensor, classes: Sequence[str] | None = None) -> Subject:
    """The test part of a split, a part, or inputs alone.

    The model is copied, so that a widget may work beside a cell that trains it; a plain function stays what it is.

    Raises:
        ValueError: no inputs, or another number of class names than of logits.
    """
    known = isinstance(data, Split | Part | Tensor)
    require(known, "widgets: data must be a Split, a Part or a tensor", data, "xnb.widgets.explore(model, x)")
    part = data.test if isinstance(data, Split) else data
    x = part if isinstance(part, Tensor) else part.x
    require(len(x) > 0, "widgets: there must be inputs to show", x, "data.shapes(n=(0, 60))")
    own = private(model)
    count = logits(own, x[:1]).shape[1]
    names = classes or (data.classes if isinstance(data, Split) else [f"class {k}" for k in range(count)])
    require(len(names) == count, f"widgets: there must be {count} class names", tuple(names), "classes=None")
    written = "data" if isinstance(data, Tensor) else "data.x" if isinstance(data, Part) else "data.test.x"
    facts = () if isinstance(part, Tensor) else ("y", "masks", "evidence")
    more = {fact: getattr(part, fact) for fact in facts}
    unnamed = tuple(f"feature {j}" for j in range(x.shape[1])) if x.ndim == 2 else ()
    features = tuple(getattr(data, "features", ())) or unnamed
    return Subject(own, x, tuple(names), written, **more, features=features)


def private(model: Model) -> Model:
    """A copy in evaluation mode that nobody else changes."""
    return copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model


def contrast(model: Model, one: int, other: int, *, of: int) -> nn.Sequential:
    """The model with one logit, by how much class `one` exceeds class `other`: explain it with target 0.

    A linear layer behind the `of` logits, so rules and hooks see it. What speaks for both classes alike cancels.
    """
    inside = 0 <= one < of and 0 <= other < of and one != other
    require(inside, f"contrast: two different classes in [0, {of})", (one, other), f"contrast(model, 0, 1, of={of})")
    require(isinstance(model, nn.Module), "contrast: the model must be a module", model, "class Net(nn.Module): ...")
    own = next(model.parameters(), torch.zeros(1))
    last = nn.Linear(of, 1, bias=False, device=own.device, dtype=own.dtype)
    weight = torch.zeros(1, of).index_fill_(1, torch.tensor([one]), 1).index_fill_(1, torch.tensor([other]), -1)
    last.weight.data.copy_(weight)
    return nn.Sequential(model, last).eval()
