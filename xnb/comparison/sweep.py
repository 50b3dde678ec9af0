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
from xnb.check import is_finite, require
from xnb.comparison.plan import Knobs, Named, Plan, plan, takes
from xnb.comparison.store import Store
from xnb.data import Part
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Model, Target

USUAL = ("gradient", "gradient_times_input", "integrated_gradients", "smoothgrad", "lrp", "occlusion")
FAITHFUL = ("srg", "insertion", "deletion", "road")


def compare(
    model: Model | Sequence[Model],
    data: Part,
    methods: Named = USUAL,
    metrics: Named = FAITHFUL,
    *,
    images: int | Sequence[int] | None = None,
    target: Target | None = None,
    seed: int = 0,
    knobs: Knobs | None = None,
    path: str | Path | None = None,
    batch: int = 16,
) -> pd.DataFrame:
    """Measure every method by every metric, an image a row; never averaged, so that intervals can follow.

    Columns: `method`, `metric`, `image` (its place in the data), `value`, `seconds` (of the metric, per image; what
    several share is paid by the first), and of the method, per image and alone, `method_seconds` and the inputs it
    runs `forward` and `backward`; `error` is the first line of what went wrong, then `value` is NaN; with several
    models `model`, their number. Explained is the class that the model predicts, unless `target` says another.

    Random, constant and input, and of pictures edges and centre, are always among the methods.

    Args:
        model: one, or a list, e.g. of the same network trained with several seeds.
        data: inputs, and the masks that metrics of localisation ask for.
        methods: names in `xnb.catalog()` or functions `(model, x, target) -> attribution`; `{label: ...}` for both.
        metrics: names in `xnb.metrics.catalog()` or functions, likewise.
        images: how many, drawn by `seed`, or which; all if omitted.
        target: one class for each input of the data, e.g. `data.y`; the predicted class if omitted.
        seed: of the draw, and of every method and metric that takes one.
        knobs: by label, for methods and metrics that want other than their defaults, `{"occlusion": {"window": 8}}`.
        path: Parquet file, written after every `batch` images; the same call goes on where it was stopped, and ends
            with the same bytes. Seconds lie beside it, in `.seconds.parquet`.
        batch: images that are worked on together and share passes.

    Raises:
        ValueError: unknown names, images or targets out of range, or a file that was written with other settings.
    """
    models = model if isinstance(model, list | tuple) else [model]
    given = {"images": images, "target": target, "seed": seed, "knobs": knobs or {}, "batch": batch}
    work = plan(models, data, methods, metrics, **given)
    store = Store(None if path is None else Path(path), work.settings())
    todo = [block for block in work.blocks() if not store.has(block[0], work.images[block[1].start])]
    cells = len(todo) * len(work.methods) * (1 + len(work.metrics))
    for _ in show_progress(measured(work, todo, store), cells, "cell"):
        pass
    table = store.table
    return table if len(models) > 1 else table.drop(columns="model")


def measured(work: Plan, todo: Sequence[tuple[int, slice]], store: Store) -> Iterator[None]:
    """Work through the blocks; yields after every cell, for the progress bar."""
    for number, rows in todo:
        frames = []
        for frame in block(work, number, rows):
            frames += [] if frame is None else [frame]
            yield
        store.add(pd.concat(frames, ignore_index=True))


def block(work: Plan, number: int, rows: slice) -> Iterator[pd.DataFrame | None]:
    """One model and some images: the rows of each method and metric, and None when an attribution is there.

    What metrics ask of the model is asked once for all methods. Each method runs as if it were alone, so that its
    cost is its own.
    """
    model, part = work.models[number], work.part[rows]
    target = logits(model, part.x).argmax(1) if work.target is None else work.target[rows]
    with remember_answers():
        for label, method in work.methods.items():
            method = partial(alone, method)
            explained = attempt(partial(method, model, part.x, target))
            yield None
            for name, metric in work.metrics.items():
                found = measure(metric, model, part, target, method, explained)
                place = {"model": number, "method": label, "metric": name, "image": work.images[rows]}
                yield pd.DataFrame(place | found.columns(len(part)) | explained.cost(len(part)))


@dataclass(frozen=True)
class Outcome:
    """What a call returned, or the first line of its error, and what it cost."""

    value: Tensor | None
    error: str | None
    seconds: float = 0.0
    forward: int = 0
    backward: int = 0

    def columns(self, inputs: int) -> dict[str, object]:
        """Of a metric."""
        value = float("nan") if self.value is None else self.value.double().cpu().numpy()
        return {"value": value, "error": self.error, "seconds": self.seconds / inputs}

    def cost(self, inputs: int) -> dict[str, float]:
        """Of a method."""
        passes = {"forward": self.forward / inputs, "backward": self.backward / inputs}
        return {"method_seconds": self.seconds / inputs, **passes}


def attempt(call: Callable[[], Tensor]) -> Outcome:
    """The call's outcome, whatever happens: one bad cell must not end a long run."""
    with count_passes() as passes:
        start = perf_counter()
        try:
            value, error = call(), None
        except Exception as problem:
            value, error = None, f"{type(problem).__name__}: {problem}".splitlines()[0]
        seconds = perf_counter() - start
    return Outcome(value, error, seconds, passes.forward, passes.backward)


def alone(method: Callable, model: Model, x: Batch, target: Target) -> Attribution:
    """The attribution, with nothing taken from or left for others."""
    with remember_answers():
        a = method(model, x, target).detach()
    require(is_finite(a), "compare: attribution must be finite", "NaN or infinity")
    return a


def measure(
    metric: Callable, model: Model, part: Part, target: Target, method: Callable, explained: Outcome
) -> Outcome:
    """One number an image, or why there is none."""
    if explained.error is not None:
        return Outcome(None, explained.error)
    asked = {"masks": part.masks, "method": method}
    asked = {name: given for name, given in asked.items() if takes(metric, name)}

    def call() -> Tensor:
        require(asked.get("masks", part) is not None, "compare: this metric asks for masks, the data have none", None)
        hint = 'knobs={"data_randomisation": {"other": net}}'  # within the rule, as a table keeps the first line
        require(not takes(metric, "other"), f"compare: this metric asks for another model, {hint}", None)
        found = metric(model, part.x, target, explained.value, **asked)
        require(found.shape == (len(part),), f"compare: a metric returns one number per input ({len(part)},)", found)
        return found

    return attempt(call)
