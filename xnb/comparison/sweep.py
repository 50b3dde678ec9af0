"""One call: every method measured by every metric on every image, beside controls that know nothing."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import pandas as pd
import torch

from xnb.access.baselines import Baseline
from xnb.access.memo import remember_answers
from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.access.units import Units
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import PromiseWarning, is_finite, require
from xnb.comparison.cells import Explainer, Piece, measure_pieces
from xnb.comparison.cost import announce_cost
from xnb.comparison.plan import ImageBlock, Plan, Selection, make_plan
from xnb.comparison.signs import Signs, name_sign
from xnb.comparison.store import Store
from xnb.data import Part
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Knobs, Model, Target, TargetLike

_USUAL_METHODS = ("gradient", "gradient_times_input", "integrated_gradients", "smoothgrad", "lrp", "occlusion")
_FAITHFULNESS = ("srg", "insertion", "deletion", "road")


def compare(
    model: Model | Sequence[Model],
    data: Part,
    methods: Selection = _USUAL_METHODS,
    metrics: Selection = _FAITHFULNESS,
    *,
    images: int | Sequence[int] | None = None,
    target: TargetLike | None = None,
    seed: int = 0,
    knobs: Knobs | None = None,
    units: Units = None,
    baseline: Baseline | None = None,
    signs: Signs = "both",
    path: str | Path | None = None,
    batch: int = 16,
) -> pd.DataFrame:
    """Measure every method by every metric, an image a row; never averaged, so that intervals can follow.

    Columns: `method`, `sign`, `metric`, `image` (its position in the data), `value`, `seconds` (of the metric, per
    image; what several share is paid by the first), and of the method, per image and alone, `method_seconds` and the
    inputs it runs `forward` and `backward`; `error` is what went wrong, then `value` is NaN; with several models
    `model`, their number. The class that the model predicts is explained, unless `target` names another.

    Read the table by `xnb.comparison.estimate_differences`, which compares methods image by image, and `intervals`,
    which gives means; a plain mean hides that inputs differ by more than methods. `ranks`, `agreement` and `pareto`
    say more.

    A map speaks of the change from its baseline, and a metric that removes asks for the change to its filling: one
    choice, `baseline`. From the mean no map needs to explain black, and pictures that are filled with it look least
    cut out. `road` fills by the neighbours of what is removed, which is its definition; `gradient_times_input` and
    `lrp` begin at zero and have no knob. Where `knobs` part map and metric, one `xnb.check.PromiseWarning` names them.

    The controls `random`, `constant`, `baseline_distance`, and of pictures `edges` and `centre`, are always among the
    methods.

    Args:
        model: one, or a list, e.g. of the same network trained with several seeds.
        data: inputs, and the masks that metrics of localisation need.
        methods: names in `xnb.catalog()` or functions `(model, x, target) -> attribution`; `{label: ...}` for both.
        metrics: names in `xnb.metrics.catalog()` or functions, likewise.
        images: how many, drawn by `seed`, or their positions in the data; all if omitted.
        target: a class for each input of the data, e.g. `data.y`, or one for all; the predicted class if omitted.
        seed: of the draw, and of every method and metric that takes one.
        knobs: by label, for methods and metrics that want other than their defaults, `{"occlusion": {"window": 8}}`.
        baseline: where all methods with that knob begin, and what all metrics that remove lay in place (`impute`): a
            number, a tensor that broadcasts to the inputs, a name or a function, as in
            `xnb.access.baselines.expand_baseline`. None: "mean" over the places, "zero" of tables, tokens, bags, and
            where no places are seen.
        signs: "both" measures maps whose sign is no evidence (`sign` "direction" in `xnb.catalog()`: `gradient`)
            twice, as they are and by the size of their values, as `gradient, magnitude`, run once; "signed" measures
            every map as it is; "magnitude" every map by its size.
        units: axes of the inputs that number what is removed, counted and painted over, for every method and metric
            that takes them: `(2,)` of signals, `(1,)` of tokens; None: each sees them, by `xnb.access.units`.
        path: Parquet file. Until it is finished, every cell (a method by a metric on a block of images) is a line of
            JSON in the folder `.parts` beside it: the same call goes on where it was stopped, and ends with the same
            bytes. Seconds lie beside it, in `.seconds.parquet`.
        batch: images that are worked on together and share passes.

    Raises:
        ValueError: unknown names, images or targets out of range, or a file that was written with other settings.
    """
    models: Sequence[Model] = [model] if callable(model) else model
    plan = make_plan(
        models,
        data,
        methods,
        metrics,
        images=images,
        target=target,
        seed=seed,
        knobs=knobs or {},
        units=units,
        batch=batch,
        baseline=baseline,
        signs=signs,
    )
    store = Store(None if path is None else Path(path), plan.settings())
    todo = [work for block in plan.blocks() if (work := _list_work(plan, store, block)).metrics]
    cells = sum(len(names) for work in todo for names in work.metrics.values())
    with catch_warnings():
        simplefilter("ignore", PromiseWarning)  # `explain` tells of one method; here it would be once a block
        if todo:
            announce_cost(plan, *todo[0])
        for _ in show_progress(_measure_all(plan, todo, store), cells, "cell", str):
            pass
    table = store.finish()
    if len(models) > 1:
        return table
    return table.drop(columns="model")


class _Work(NamedTuple):
    """What is to be measured of a block: by method the metrics that have no value yet."""

    block: ImageBlock
    metrics: dict[str, list[str]]


def _list_work(plan: Plan, store: Store, block: ImageBlock) -> _Work:
    images = plan.images[block.rows]
    missing = {}
    for method in plan.methods:
        names = [metric for metric in plan.metrics if not store.has(block.model, method, metric, images)]
        if names:
            missing[method] = names
    return _Work(block, missing)


def _measure_all(plan: Plan, todo: Sequence[_Work], store: Store) -> Iterator[str]:
    """Measure and store cell by cell; yield what is measured next, for the progress bar."""
    for work in todo:
        images = plan.images[work.block.rows]
        # what belongs to an input of the data, a mask or a baseline, follows the images of the block
        with select_rows(torch.tensor(images), plan.size), remember_answers():
            yield from _measure_block(plan, work, store)


def _measure_block(plan: Plan, work: _Work, store: Store) -> Iterator[str]:
    """Measure the images of a block by one method after the other.

    What metrics ask of the model is computed once for all methods. Each method runs as if it were alone, so that its
    cost is its own.
    """
    block = work.block
    model = plan.models[block.model]
    part = plan.part[block.rows]
    target = predict_class(logits(model, part.x)) if plan.target is None else plan.target[block.rows]
    explainer = Explainer(model, part, target)
    for label, names in work.metrics.items():
        function = plan.methods[label]
        method = partial(_explain_alone, function)
        pieces: list[Piece] | None = None
        for name in names:
            yield f"{label}, {name}"
            # Only now, so that the bar already names what is computed.
            if pieces is None:
                pieces = explainer.explain(function, method)
            key = {"model": block.model, "method": label, "sign": name_sign(function), "metric": name}
            rows = measure_pieces(plan.metrics[name], model, pieces, method)
            images = plan.images[block.rows]
            store.add([{**key, "image": image, **row} for image, row in zip(images, rows, strict=True)])


def _explain_alone(method: Callable, model: Model, x: Batch, target: Target) -> Attribution:
    """Return the attribution; no answer is taken from or left for other methods."""
    with remember_answers():
        a = method(model, x, target).detach()
    require(is_finite(a), "compare: attribution must be finite", "NaN or infinity", FORWARD_ONLY)
    return a
