"""What a widget explains: its own copy of a model, and inputs with what is known of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypedDict

import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from xnb.access.copies import copy_module
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.units import INSTANCES
from xnb.check import refuse, require
from xnb.data import Part, Split
from xnb.types import Batch, Masks, Model, Target
from xnb.widgets.colours import Numbers, check_colours, normalise_colours, restore_colours, to_picture
from xnb.widgets.likelihoods import Unit, check_unit, find_unit, read_probabilities

Data: TypeAlias = Split | Part | Tensor
Kind: TypeAlias = Literal["table", "text", "signal", "picture", "volume"]
KINDS: dict[int, Kind] = {2: "table", 3: "signal", 4: "picture", 5: "volume"}


@dataclass(frozen=True, eq=False)
class Subject:
    """A copy of a model in evaluation mode, and the inputs that it is explained on.

    Attributes:
        source: the inputs as an expression of Python, for the code that a widget offers to copy.
        y: true classes of the inputs that were not uploaded, as are `masks` and `evidence`.
        features: names of a table's columns.
        names: of the inputs that were not uploaded, such as their files.
        uploads: how many inputs at the end were uploaded; nothing is known of those.
        needs_rows: whether the model must be told which of the inputs it runs, as its further inputs have rows too.
        unit: how what the model returns becomes probabilities.
        words: of each text whose embeddings `(T, D)` are explained.
        mean: and `std`, of pictures that were normalised: `x * std + mean` is shown.
        assumed: whether nothing shows that axis 1 of signals and volumes holds channels, and not words or instances.
    """

    model: Model
    x: Batch
    classes: tuple[str, ...]
    source: str
    y: Int[Tensor, " known"] | None = None
    masks: Bool[Tensor, "known 1 H W"] | None = None
    evidence: Int[Tensor, "known N K"] | None = None
    features: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    uploads: int = 0
    needs_rows: bool = False
    unit: Unit = "softmax"
    words: tuple[tuple[str, ...], ...] = ()
    mean: Numbers = 0.0
    std: Numbers = 1.0
    assumed: bool = False

    @property
    def kind(self) -> Kind:
        """What an input is, and therefore how it is drawn."""
        if self.words:
            return "text"
        return KINDS[self.x.ndim]

    def input(self, row: int) -> Batch:
        """One input, as a batch."""
        return self.x[row : row + 1]

    @property
    def unit_axes(self) -> tuple[int, ...]:
        """The axes of the inputs that number features or words, or else steps, pixels or voxels."""
        if self.kind in ("table", "text"):
            return INSTANCES
        return tuple(range(2, self.x.ndim))

    @contextmanager
    def run_input(self, row: int, times: int = 1) -> Iterator[Batch]:
        """Yield one input, as a batch; within the block what belongs to it runs with it, such as the mask of a text.

        Args:
            times: how many versions of the input run together.
        """
        with select_rows(slice(row, row + 1), len(self.x), times):
            yield self.input(row)

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
        with self.run_input(row) as x:
            return self.probabilities_of(x)[0].cpu().numpy()

    def probabilities_of(self, x: Batch) -> Float[Tensor, "B K"]:
        """Probability of each class, for any inputs."""
        return read_probabilities(logits(self.model, x), self.unit)

    def shown_picture(self, row: int) -> Float[Tensor, "c H W"]:
        """One picture as it is drawn: in [0, 1], in the colours that it had before it was normalised."""
        return to_picture(restore_colours(self.x[row], self.mean, self.std))

    def predicted_class(self, row: int) -> int:
        """Most probable class of one input."""
        return int(self.class_probabilities(row).argmax())

    def target_of(self, index: int) -> Target:
        """A class as a batch of one, as methods take it."""
        return torch.tensor([index], device=self.x.device)

    def class_names(self, indices: Sequence[int]) -> list[str]:
        return [self.classes[index] for index in indices]

    def input_name(self, row: int) -> str:
        """What an input is called: its number, and its file where that is known."""
        known = row < len(self.names)
        if known:
            return f"input {row}, {self.names[row]}"
        return f"input {row}"

    def true_class(self, row: int) -> str:
        """Name of the true class, or nothing where it is not known."""
        if self.y is None or self.is_upload(row):
            return ""
        return self.classes[int(self.y[row])]

    def mask(self, row: int) -> Bool[Tensor, "H W"] | None:
        """Pixels of the mask, where it is known."""
        if self.masks is None or self.is_upload(row):
            return None
        return self.masks[row, 0]

    def is_upload(self, row: int) -> bool:
        """Whether the input was uploaded, so that nothing is known of it."""
        return row >= len(self.x) - self.uploads

    def add_upload(self, x: Batch) -> "Subject":
        """Return the same with one uploaded picture in [0, 1] more."""
        like_others = normalise_colours(x.to(self.x), self.mean, self.std)
        inputs = torch.cat([self.x, like_others])
        return replace(self, x=inputs, uploads=self.uploads + 1)


class _Facts(TypedDict):
    """What a data set may know of its inputs."""

    y: Target | None
    masks: Masks | None
    evidence: Int[Tensor, "B N K"] | None


def prepare_subject(
    model: Model,
    data: Data,
    classes: Sequence[str] | None = None,
    *,
    unit: Unit | None = None,
    words: Sequence[Sequence[str]] = (),
    mean: Numbers = 0.0,
    std: Numbers = 1.0,
) -> Subject:
    """Collect what a widget explains: the test part of a split, a part, or inputs alone.

    The model is copied, so that a widget may work beside a cell that trains it; a plain function stays what it is.

    Raises:
        ValueError: no inputs, or inputs without their batch axis; pictures outside [0, 1] once `mean` and `std` are
            taken back; another number of class names than of classes.
    """
    accepted = isinstance(data, Split | Part | Tensor)
    require(accepted, "widgets: data must be a Split, a Part or a tensor", data, "xnb.widgets.explore(model, x)")
    part = data.test if isinstance(data, Split) else data
    x = part if isinstance(part, Tensor) else part.x
    like_others = f"x = torch.rand({(1, *x.shape[1:])})"
    require(x.ndim > 0 and len(x) > 0, "widgets: there must be inputs (B, ...) to show", x, like_others)

    own_model = _copy_in_evaluation(model)
    out, needs_rows = _run_first(own_model, x)  # a plain function does not say how many classes it knows
    count = max(out.shape[1], 2)  # one logit has two classes
    names = tuple(classes or _default_classes(data, count))
    hint = f'classes=[f"class {{k}}" for k in range({count})]'
    require(len(names) == count, f"widgets: there must be {count} class names", names, hint)

    texts = _read_words(words, x)
    if x.ndim == 4:
        check_colours(x, mean, std)
    return Subject(
        own_model,
        x,
        names,
        _input_source(data),
        **_known_facts(data, count),
        features=_feature_names(data, x),
        names=data.names if isinstance(data, Split) else (),
        needs_rows=needs_rows,
        unit=check_unit(unit, out) if unit else find_unit(out),
        words=texts,
        mean=mean,
        std=std,
    )


def _run_first(model: Model, x: Batch) -> tuple[Float[Tensor, "1 K"], bool]:
    """What the model returns for the first input, and whether it must be told that it is the first.

    One input that has no batch axis is refused as such.
    """
    # Whatever goes wrong comes again below, unless only the rows or the batch axis are missing.
    with suppress(Exception):
        return logits(model, x[:1]), False
    with suppress(Exception), select_rows(slice(1), len(x)):
        return logits(model, x[:1]), True
    if x.ndim <= 3:
        logits(model, x)
    with select_rows(slice(1), len(x)):
        return logits(model, x[:1]), True


def _read_words(words: Sequence[Sequence[str]], x: Batch) -> tuple[tuple[str, ...], ...]:
    """The words of each text, one an embedding."""
    texts = tuple(tuple(text) for text in words)
    lengths = [len(text) for text in texts]
    fits = not texts or (x.ndim == 3 and lengths == [x.shape[1]] * len(x))
    rule = "widgets: words name the T embeddings (B, T, D) of each of the B texts"
    hint = "words=[[str(place) for place in range(x.shape[1])]] * len(x)" if x.ndim == 3 else "words=()"
    require(fits, rule, lengths, hint)
    return texts


def _copy_in_evaluation(model: Model) -> Model:
    """Return a copy in evaluation mode that nobody else changes."""
    if isinstance(model, nn.Module):
        return copy_module(model).eval()
    return model


def _default_classes(data: Data, count: int) -> Sequence[str]:
    """Names of the classes of a split; of one with nothing to train on only if they can be those of the model."""
    if isinstance(data, Split) and (len(data.train) or len(data.classes) == count):
        return data.classes
    return [f"class {k}" for k in range(count)]


def _input_source(data: Data) -> str:
    """Expression of Python for the inputs, where `data` is what the widget was called with."""
    if isinstance(data, Tensor):
        return "data"
    if isinstance(data, Part):
        return "data.x"
    return "data.test.x"


def _known_facts(data: Data, count: int) -> _Facts:
    """What is known of the inputs; their classes only where they are those of the model."""
    part = data.test if isinstance(data, Split) else data
    if isinstance(part, Tensor):
        return {"y": None, "masks": None, "evidence": None}
    of_model = len(data.classes) == count if isinstance(data, Split) else int(part.y.max()) < count
    return {"y": part.y if of_model else None, "masks": part.masks, "evidence": part.evidence}


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
