"""A block of a comparison: some inputs, explained by every method, and measured by every metric."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import torch

from xnb.access.memo import remember_answers
from xnb.access.rows import select_rows
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import PromiseWarning, is_finite, require
from xnb.comparison.cells import Explainer, list_unread, measure_pieces
from xnb.comparison.signs import name_sign
from xnb.data import Part
from xnb.types import Attribution, Batch, Model, Target

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Functions:
    """What is run on every block.

    Attributes:
        models: all of them; a block belongs to one.
        methods: by label, their knobs set; metrics likewise.
        size: how many inputs the data have.
    """

    models: Sequence[Model]
    methods: Mapping[str, Callable]
    metrics: Mapping[str, Callable]
    size: int


@dataclass(frozen=True)
class Block:
    """Inputs that are worked on together and share passes.

    Attributes:
        model: its number among the models.
        images: positions in the data.
        part: the inputs, without those that could not be read; None if none could.
        target: a class for each of them; None stands for the class that the model predicts.
        unread: by position, why an input could not be read.
    """

    model: int
    images: Sequence[int]
    part: Part | None
    target: Target | None
    unread: Mapping[int, str]


class Cell(NamedTuple):
    """A method by a metric on a block; `measure()` returns its rows, an image each."""

    name: str
    measure: Callable[[], Rows]


def iterate_cells(functions: Functions, block: Block, metrics: Mapping[str, Sequence[str]]) -> Iterator[Cell]:
    """Yield the cells of a block; each is to be measured before the next is asked for.

    What metrics ask of the model is computed once for all methods. Each method runs as if it were alone, so that its
    cost is its own.

    Args:
        metrics: by method, those that it is measured by.
    """
    explainer = None
    if block.part is not None:
        explainer = Explainer(functions.models[block.model], block.part, block.target)
    read = [image for image in block.images if image not in block.unread]
    # what belongs to an input of the data, a mask or a baseline, follows the images of the block
    with select_rows(torch.tensor(read, dtype=torch.long), functions.size), remember_answers():
        for label, names in metrics.items():
            method = functions.methods[label]
            # one function for all metrics of the block, by which they know what another has explained already
            alone = partial(_explain_alone, method)
            for name in names:
                key = {"model": block.model, "method": label, "sign": name_sign(method), "metric": name}
                measure = partial(_measure_cell, explainer, block, (method, alone), functions.metrics[name], key)
                yield Cell(f"{label}, {name}", measure)


def measure_block(functions: Functions, block: Block, metrics: Mapping[str, Sequence[str]]) -> list[Rows]:
    """Return the rows of all cells of a block."""
    with catch_warnings():
        simplefilter("ignore", PromiseWarning)  # a comparison measures what it says
        return [cell.measure() for cell in iterate_cells(functions, block, metrics)]


def _measure_cell(
    explainer: Explainer | None,
    block: Block,
    methods: tuple[Callable, Callable],
    metric: Callable,
    key: Mapping[str, object],
) -> Rows:
    """Return the rows of a cell, an image each.

    Args:
        methods: the method, and what is run in its place.
    """
    method, alone = methods
    measured: list[dict[str, object]] = []
    if explainer is not None:
        pieces = explainer.explain(method, alone)
        measured = measure_pieces(metric, explainer.model, pieces, alone)
    values = iter(measured)
    rows = []
    for image in block.images:
        error = block.unread.get(image)
        row = next(values) if error is None else list_unread(error)
        rows.append({**key, "image": image, **row})
    return rows


def _explain_alone(method: Callable, model: Model, x: Batch, target: Target) -> Attribution:
    """Return the attribution; no answer is taken from or left for other methods."""
    with remember_answers():
        a = method(model, x, target).detach()
    require(is_finite(a), "compare: attribution must be finite", "NaN or infinity", FORWARD_ONLY)
    return a
