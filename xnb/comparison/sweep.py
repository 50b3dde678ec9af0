"""One call: every method measured by every metric on every image, beside controls that know nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import pandas as pd
from torch import Tensor

from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.access.score import logits
from xnb.access.targets import predict_class
from xnb.check import is_finite, require
from xnb.comparison.plan import ImageBlock, Plan, Selection, make_plan, takes_knob
from xnb.comparison.store import Store
from xnb.data import Part
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Knobs, Model, Target

_USUAL_METHODS = ("gradient", "gradient_times_input", "integrated_gradients", "smoothgrad", "lrp", "occlusion")
_FAITHFULNESS = ("srg", "insertion", "deletion", "road")


def compare(
    model: Model | Sequence[Model],
    data: Part,
    methods: Selection = _USUAL_METHODS,
    metrics: Selection = _FAITHFULNESS,
    *,
    images: int | Sequence[int] | None = None,
    target: Target | None = None,
    seed: int = 0,
    knobs: Knobs | None = None,
    path: str | Path | None = None,
    batch: int = 16,
) -> pd.DataFrame:
    """Measure every method by every metric, an image a row; never averaged, so that intervals can follow.

    Columns: `method`, `metric`, `image` (its position in the data), `value`, `seconds` (of the metric, per image; what
    several share is paid by the first), and of the method, per image and alone, `method_seconds` and the inputs it
    runs `forward` and `backward`; `error` is the first line of what went wrong, then `value` is NaN; with several
    models `model`, their number. The class that the model predicts is explained, unless `target` names another.

    Random, constant and input, and of pictures edges and centre, are always among the methods.

    Args:
        model: one, or a list, e.g. of the same network trained with several seeds.
        data: inputs, and the masks that metrics of localisation need.
        methods: names in `xnb.catalog()` or functions `(model, x, target) -> attribution`; `{label: ...}` for both.
        metrics: names in `xnb.metrics.catalog()` or functions, likewise.
        images: how many, drawn by `seed`, or their positions in the data; all if omitted.
        target: one class for each input of the data, e.g. `data.y`; the predicted class if omitted.
        seed: of the draw, and of every method and metric that takes one.
        knobs: by label, for methods and metrics that want other than their defaults, `{"occlusion": {"window": 8}}`.
        path: Parquet file, written after every `batch` images; the same call goes on where it was stopped, and ends
            with the same bytes. Seconds lie beside it, in `.seconds.parquet`.
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
        batch=batch,
    )
    store = Store(None if path is None else Path(path), plan.settings())
    # A block is written as a whole: its first image tells whether it is done.
    todo = [block for block in plan.blocks() if not store.has(block.model, plan.images[block.rows.start])]
    cells = len(todo) * len(plan.methods) * (1 + len(plan.metrics))
    for _ in show_progress(_measure_blocks(plan, todo, store), cells, "cell"):
        pass
    table = store.table
    return table if len(models) > 1 else table.drop(columns="model")


def _measure_blocks(plan: Plan, todo: Sequence[ImageBlock], store: Store) -> Iterator[None]:
    """Measure and store the blocks; yield after every attribution and every metric, for the progress bar."""
    for block in todo:
        tables = []
        for table in _measure_block(plan, block):
            if table is not None:
                tables.append(table)
            yield
        store.add(pd.concat(tables, ignore_index=True))


def _measure_block(plan: Plan, block: ImageBlock) -> Iterator[pd.DataFrame | None]:
    """Yield the rows of each method and metric, and None whenever an attribution is computed.

    What metrics ask of the model is computed once for all methods. Each method runs as if it were alone, so that its
    cost is its own.
    """
    model = plan.models[block.model]
    part = plan.part[block.rows]
    images = plan.images[block.rows]
    target = predict_class(logits(model, part.x)) if plan.target is None else plan.target[block.rows]
    with remember_answers():
        for label, method in plan.methods.items():
            explain = partial(_explain_alone, method)
            explained = try_call(partial(explain, model, part.x, target))
            yield None
            for name, metric in plan.metrics.items():
                # metrics too explain only through `explain`: neighbours, say, and at their own cost
                measured = measure(metric, model, part, target, explain, explained)
                key = {"model": block.model, "method": label, "metric": name, "image": images}
                yield pd.DataFrame(key | measured.metric_columns(len(part)) | explained.method_columns(len(part)))


@dataclass(frozen=True)
class _Outcome:
    """What a call returned, or the first line of its error, and what it cost."""

    value: Tensor | None
    error: str | None
    seconds: float = 0.0
    forward: int = 0
    backward: int = 0

    def metric_columns(self, inputs: int) -> dict[str, object]:
        """Return what the table says of a metric."""
        value = float("nan") if self.value is None else self.value.double().cpu().numpy()
        return {"value": value, "error": self.error, "seconds": self.seconds / inputs}

    def method_columns(self, inputs: int) -> dict[str, float]:
        """Return what the table says of a method."""
        return {
            "method_seconds": self.seconds / inputs,
            "forward": self.forward / inputs,
            "backward": self.backward / inputs,
        }


def try_call(call: Callable[[], Tensor]) -> _Outcome:
    """Return the call's outcome, whatever happens: one bad cell must not end a long run."""
    value = error = None
    with count_passes() as passes:
        start = perf_counter()
        try:
            value = call()
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        seconds = perf_counter() - start
    return _Outcome(value, error, seconds, passes.forward, passes.backward)


def _explain_alone(method: Callable, model: Model, x: Batch, target: Target) -> Attribution:
    """Return the attribution; no answer is taken from or left for other methods."""
    with remember_answers():
        a = method(model, x, target).detach()
    require(is_finite(a), "compare: attribution must be finite", "NaN or infinity")
    return a


def measure(
    metric: Callable,
    model: Model,
    part: Part,
    target: Target,
    method: Callable,
    explained: _Outcome,
) -> _Outcome:
    """Return one number an image, or why there is none; `explained` is the outcome of `method` on these images."""
    if explained.error is not None:
        return _Outcome(None, explained.error)
    offers = {"masks": part.masks, "method": method}
    arguments = {name: value for name, value in offers.items() if takes_knob(metric, name)}

    def call() -> Tensor:
        # refused in here: what a metric lacks is an error of its cells, not of the whole run
        lacks_masks = "masks" in arguments and part.masks is None
        require(not lacks_masks, "compare: this metric asks for masks, the data have none", None)
        hint = 'knobs={"data_randomisation": {"other": net}}'  # within the rule, as a table keeps the first line
        require(not takes_knob(metric, "other"), f"compare: this metric asks for another model, {hint}", None)
        values = metric(model, part.x, target, explained.value, **arguments)
        fits = values.shape == (len(part),)
        require(fits, f"compare: a metric returns one number per input ({len(part)},)", values)
        return values

    return try_call(call)
