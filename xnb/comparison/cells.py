"""A cell of a comparison: a method's maps of some images, measured by a metric, whatever goes wrong with one."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import NamedTuple

from torch import Tensor

from xnb.access.descriptions import takes_knob
from xnb.access.ledger import count_inner_passes
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.check import is_out_of_memory, refuse, require
from xnb.comparison.signs import find_signed
from xnb.data import Part
from xnb.types import Model, Target


@dataclass(frozen=True)
class Outcome:
    """What a call returned, or what it ended in, and what it cost."""

    value: Tensor | None
    error: str | None
    seconds: float = 0.0
    forward: float = 0.0
    backward: float = 0.0

    def select(self, i: int, count: int) -> "Outcome":
        """Return one of `count` rows with its share of the cost."""
        value = None if self.value is None else self.value[i : i + 1]
        return Outcome(
            value,
            self.error,
            self.seconds / count,
            self.forward / count,
            self.backward / count,
        )


class Piece(NamedTuple):
    """Images that a method was given together: all of a block, or one alone where it failed on all.

    Attributes:
        rows: which images of the block.
        size: how many the block has.
        explained: the method's maps of them.
    """

    part: Part
    target: Target
    rows: slice
    size: int
    explained: Outcome

    def take_magnitude(self) -> "Piece":
        """Return the same images with the size of each value of their map; it costs nothing more."""
        value = self.explained.value
        return self._replace(explained=replace(self.explained, value=None if value is None else value.abs()))

    def split(self) -> Iterator["Piece"]:
        """Yield the images one by one, each with its map."""
        for i in range(len(self.part)):
            one = slice(i, i + 1)
            row = slice(self.rows.start + i, self.rows.start + i + 1)
            explained = self.explained.select(i, len(self.part))
            yield Piece(self.part[one], self.target[one], row, self.size, explained)


def try_call(call: Callable[[], Tensor], count: int) -> Outcome:
    """Return the call's outcome, whatever happens: one bad cell must not end a long run.

    Where one input alone takes more memory than there is, the run does end: that is no property of the input, and a
    table that held it would say so for ever.

    Args:
        count: of inputs that it is about; several are tried again one by one.

    Raises:
        MemoryError: there is not enough for one input.
    """
    value = error = None
    with count_inner_passes() as passes:
        start = perf_counter()
        try:
            value = call()
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            if count == 1 and is_out_of_memory(problem):
                rule = "compare: memory must suffice for one input; with a path, what is finished stays"
                hint = "xnb.compare(...)  # goes on where it is, once there is more memory"
                refuse(rule, error, hint, error=MemoryError)
        seconds = perf_counter() - start
    return Outcome(value, error, seconds, float(passes.forward), float(passes.backward))


def _explain_pieces(method: Callable, model: Model, part: Part, target: Target) -> list[Piece]:
    """Explain all images at once or, where the method fails on them, one by one: it may be one that it fails on."""
    count = len(part)
    explained = try_call(partial(method, model, part.x, target), count)
    whole = Piece(part, target, slice(0, count), count, explained)
    if explained.error is None or count == 1:
        return [whole]
    pieces = []
    for one in whole.split():
        with select_rows(one.rows, count):
            alone = try_call(partial(method, model, one.part.x, one.target), 1)
        pieces.append(one._replace(explained=alone))
    return pieces


class Explainer:
    """The methods of a block, one after the other; the magnitude of the one before is taken from its maps.

    Args:
        target: a class for each input; None stands for the class that the model predicts.
    """

    def __init__(self, model: Model, part: Part, target: Target | None) -> None:
        self.model = model
        self._part = part
        self._target = target
        self._last: tuple[Callable, list[Piece]] | None = None

    def explain(self, method: Callable, alone: Callable | None = None) -> list[Piece]:
        """Return the maps of all images; they stay until another method is asked for.

        Args:
            alone: what is run in the method's place.
        """
        last_method, pieces = self._last or (None, [])
        if last_method is method:
            return pieces
        if last_method is not None and last_method is find_signed(method):
            pieces = [piece.take_magnitude() for piece in pieces]
        else:
            pieces = _explain_pieces(alone or method, self.model, self._part, self._find_target())
        self._last = (method, pieces)
        return pieces

    def _find_target(self) -> Target:
        if self._target is None:
            self._target = predict_class(logits(self.model, self._part.x))
        return self._target


def measure_pieces(metric: Callable, model: Model, pieces: list[Piece], method: Callable) -> list[dict[str, object]]:
    """Return for each image of the block what the table says of it: value, error and costs."""
    rows = []
    for piece in pieces:
        measured = _measure(metric, model, piece, method)
        if measured.error is None or len(piece.part) == 1 or piece.explained.error is not None:
            rows += _list_rows(piece, measured)
            continue
        for one in piece.split():
            rows += _list_rows(one, _measure(metric, model, one, method))
    return rows


def _measure(metric: Callable, model: Model, piece: Piece, method: Callable) -> Outcome:
    """Return one number an image, or why there is none."""
    if piece.explained.error is not None:
        return Outcome(None, piece.explained.error)
    part = piece.part
    # metrics too explain only through `method`: neighbours, say, and at their own cost
    offers = {"masks": part.masks, "method": method}
    arguments = {name: value for name, value in offers.items() if takes_knob(metric, name)}

    def call() -> Tensor:
        # refused in here: what a metric lacks is an error of its cells, not of the whole run
        lacks_masks = "masks" in arguments and part.masks is None
        hint = "import dataclasses; data = dataclasses.replace(data, masks=masks)  # bool (N, 1, H, W)"
        require(not lacks_masks, "compare: this metric asks for masks, the data have none", None, hint)
        hint = 'knobs={"data_randomisation": {"other": net}}'
        require(not takes_knob(metric, "other"), "compare: this metric asks for another model", None, hint)
        values = metric(model, part.x, piece.target, piece.explained.value, **arguments)
        fits = values.shape == (len(part),)
        require(fits, f"compare: a metric returns one number per input ({len(part)},)", values, "one number per input")
        return values

    # To select all again would be another question to the model, whose answers the metrics of a block share.
    whole = len(part) == piece.size
    with nullcontext() if whole else select_rows(piece.rows, piece.size):
        return try_call(call, len(part))


def _list_rows(piece: Piece, measured: Outcome) -> list[dict[str, object]]:
    """Return what the table says of each image of a piece; costs are per image."""
    count = len(piece.part)
    values = [float("nan")] * count if measured.value is None else measured.value.double().tolist()
    costs = {
        "seconds": measured.seconds / count,
        "method_seconds": piece.explained.seconds / count,
        "forward": piece.explained.forward / count,
        "backward": piece.explained.backward / count,
    }
    return [{"value": value, "error": measured.error, **costs} for value in values]


def list_unread(error: str) -> dict[str, object]:
    """Return what the table says of an image that could not be read: no value, at no cost."""
    costs = dict.fromkeys(("seconds", "method_seconds", "forward", "backward"), 0.0)
    return {"value": float("nan"), "error": error, **costs}
