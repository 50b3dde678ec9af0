"""A block of a data set, explained by one method: maps, classes and logits, or why an input has none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import torch

from xnb.access.ledger import collect_notes, count_passes
from xnb.access.model_call import ExplainedFailure
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class, target_logit
from xnb.access.trials import run_first_changes
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import PromiseWarning, is_finite, require
from xnb.data import Part
from xnb.data.streamed import Readable
from xnb.explanation.attribution_store import Explained, MapForm
from xnb.methods.promises import Promises, measure_promises
from xnb.progress import hide_progress
from xnb.types import Attribution, Batch, Model, Scores, Target


@dataclass(frozen=True)
class Question:
    """What is asked of every input.

    Attributes:
        method: with its knobs set.
        name: in the catalog; empty of a function of one's own, which promises nothing.
        dtype: of the maps that are stored; None: that in which they come.
        size: how many inputs the data have.
    """

    model: Model
    method: Callable
    name: str
    knobs: Mapping[str, Any]
    dtype: torch.dtype | None
    size: int


@dataclass(frozen=True)
class Block:
    """Inputs that are worked on together.

    Attributes:
        start: position of the first in the data.
        count: how many they are, with those that could not be read.
        target: a class for each of them; None stands for the class that the model predicts.
    """

    start: int
    count: int
    read: Readable
    target: Target | None


class Result(NamedTuple):
    """What is stored of a block, and the first promise that a map of it has broken."""

    start: int
    explained: Explained
    broken: Promises | None


class _Answer(NamedTuple):
    """Maps of some inputs."""

    attribution: Attribution
    target: Target
    logit: Scores
    promises: Promises


class _Piece(NamedTuple):
    """Inputs that the method was given together, by their places in the block, and why there is no answer."""

    places: list[int]
    answer: _Answer | None
    error: str


def explain_block(question: Question, form: MapForm, block: Block) -> Result:
    """Explain what could be read of a block; what is refused for a single input stands in the place of its map.

    Any error but a `ValueError`, such as the end of memory, is none of an input, and ends the call.
    """
    explained = _make_empty(block, form)
    broken = None
    for place, reason in block.read.errors.items():
        explained.error[place] = reason
    for piece in _explain_readable(question, block):
        explained.error[piece.places] = piece.error
        if piece.answer is None:
            continue
        explained.attribution[piece.places] = piece.answer.attribution.cpu().numpy()
        explained.target[piece.places] = piece.answer.target.cpu().numpy()
        explained.logit[piece.places] = piece.answer.logit.double().cpu().numpy()
        if broken is None and any(piece.answer.promises.broken()):
            broken = piece.answer.promises
    return Result(block.start, explained, broken)


def _make_empty(block: Block, form: MapForm) -> Explained:
    target = np.full(block.count, -1)
    if block.target is not None:
        target[:] = block.target.cpu().numpy()
    return Explained(
        attribution=np.full((block.count, *form.shape), np.nan, form.dtype),
        target=target,
        logit=np.full(block.count, np.nan),
        error=np.full(block.count, "", object),
    )


def _explain_readable(question: Question, block: Block) -> list[_Piece]:
    """Explain all inputs at once or, where that is refused, one by one: it may be one that is refused."""
    if block.read.part is None:
        return []
    count = len(block.read.part)
    whole = _explain_some(question, block, block.read.part, slice(0, count))
    if whole.answer is not None or count == 1:
        return [whole]
    rows = [slice(i, i + 1) for i in range(count)]
    return [_explain_some(question, block, block.read.part, row) for row in rows]


def _explain_some(question: Question, block: Block, part: Part, rows: slice) -> _Piece:
    """Explain some of the inputs that could be read."""
    places = block.read.places[rows]
    numbers = torch.tensor([block.start + place for place in places])
    target = None if block.target is None else block.target[places]
    try:
        # what belongs to an input of the data, a mask or a baseline, follows the inputs of the block
        with select_rows(numbers, question.size):
            answer = _answer(question, part.x[rows], target)
    except ValueError as problem:
        return _Piece(places, None, f"{type(problem).__name__}: {problem}")
    return _Piece(places, answer, "")


def _answer(question: Question, x: Batch, target: Target | None) -> _Answer:
    """Run the method, and measure what it promises."""
    model = question.model
    out = logits(model, x)
    classes = predict_class(out) if target is None else target
    logit = target_logit(out, classes)
    with catch_warnings():
        simplefilter("ignore", PromiseWarning)  # the call tells once of what is broken, not once a block
        with ExplainedFailure(model, x), collect_notes() as notes:
            a = question.method(model, x, classes).detach()
        promises = Promises()
        if question.name:
            promises = measure_promises(model, x, classes, question.name, a, question.knobs, notes)
    require(is_finite(a), "attribute_data: attribution must be finite", a, FORWARD_ONLY)
    return _Answer(_convert(a, question.dtype), classes, logit, promises)


def _convert(a: Attribution, dtype: torch.dtype | None) -> Attribution:
    """Return the map in the precision in which it is stored; numpy has no bfloat16."""
    natural = torch.float32 if a.dtype == torch.bfloat16 else a.dtype
    converted = a.to(dtype or natural)
    rule = f"attribute_data: maps must fit {converted.dtype}"
    require(is_finite(converted), rule, f"values up to {float(a.abs().max()):.3g}", 'dtype="float32"')
    return converted


def try_first(question: Question, x: Batch, target: Target | None) -> tuple[MapForm, int]:
    """Return the form of maps and the passes that an input takes, from a trial with the first input.

    Of the many changes of an input, few are run, and the values are thrown away.

    Raises:
        ValueError: what the method refuses.
    """
    with (
        hide_progress(),
        run_first_changes(1),
        count_passes() as passes,
        select_rows(slice(0, 1), question.size),
    ):
        a = _answer(question, x, target).attribution
    form = MapForm(tuple(a.shape[1:]), str(a.dtype).removeprefix("torch."))
    return form, passes.forward + passes.backward
