"""One call: every method measured by every metric on every image, beside controls that know nothing."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import pandas as pd
from torch.utils.data import DataLoader, Dataset

from xnb.access.baselines import Baseline
from xnb.access.units import Units
from xnb.check import PromiseWarning, require
from xnb.comparison.blocks import iterate_cells, measure_block
from xnb.comparison.cost import announce_cost
from xnb.comparison.plan import USUAL_METHODS, USUAL_METRICS, ImageBlock, Plan, Selection, make_plan
from xnb.comparison.signs import Signs
from xnb.comparison.store import Store
from xnb.data import Part, Streamed
from xnb.progress import show_progress
from xnb.scale.dask_tasks import Task, run_on_dask
from xnb.scale.shards import Shard, read_shard
from xnb.types import Knobs, Model, TargetLike


def compare(
    model: Model | Sequence[Model],
    data: Part | Streamed | Dataset | DataLoader,
    methods: Selection = USUAL_METHODS,
    metrics: Selection = USUAL_METRICS,
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
    shard: str | tuple[int, int] | None = None,
    client: object | None = None,
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
        data: inputs, and the masks that metrics of localisation need. A `Dataset` or `DataLoader`, or an
            `xnb.data.Streamed` made of one, is read block by block, so that memory does not grow with it; such data
            are known again by their number and by 64 of their inputs, and an input that cannot be read has an `error`.
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
        shard: `"3/16"` works on every sixteenth block alone, beginning with the third, in as many processes or
            machines as there are shards, numbered from 1; the table is then of the blocks that are finished. They all
            write beside one `path`; the same call without `shard` does what is left, and makes the file.
            `python -m xnb --help` has the lines for a Slurm array, and for a claim that is judged from the file.
        client: of `dask.distributed`, whose workers measure the blocks; `xnb.scale.start_workers` makes one. The file
            has the bytes of a run in one process if that runs as many threads as a worker does.

    Raises:
        ValueError: unknown names, images or targets out of range, or a file that was written with other settings.
    """
    store = run_comparison(
        model,
        data,
        methods,
        metrics,
        images=images,
        target=target,
        seed=seed,
        knobs=knobs,
        units=units,
        batch=batch,
        baseline=baseline,
        signs=signs,
        path=path,
        shard=shard,
        client=client,
    )
    table = store.table()
    if callable(model) or len(model) == 1:
        return table.drop(columns="model")
    return table


def run_comparison(
    model: Model | Sequence[Model],
    data: object,
    methods: Selection = USUAL_METHODS,
    metrics: Selection = USUAL_METRICS,
    *,
    path: str | Path | None = None,
    shard: str | tuple[int, int] | None = None,
    client: object | None = None,
    **settings: Any,
) -> Store:
    """Run `xnb.compare`, whose arguments these are, without making a table of what may be millions of rows."""
    share = read_shard(shard, "compare")
    rule = "compare: shards meet in one file, which must be named"
    require(share is None or path is not None, rule, f"shard={shard!r}, path=None", 'path="comparison.parquet"')
    plan = make_plan([model] if callable(model) else model, data, methods, metrics, **settings)
    store = Store(None if path is None else Path(path), plan.settings())
    _run_sweep(plan, store, share, client)
    return store


class _Work(NamedTuple):
    """What is to be measured of a block: by method the metrics that have no value yet."""

    block: ImageBlock
    metrics: dict[str, list[str]]


def _run_sweep(plan: Plan, store: Store, shard: Shard | None, client: object | None) -> None:
    """Measure what the store lacks; of all of the work, make its file."""
    todo = _list_todo(plan, store, shard)
    cells = sum(len(names) for work in todo for names in work.metrics.values())
    with catch_warnings():
        simplefilter("ignore", PromiseWarning)  # `explain` tells of one method; here it would be once a block
        if todo:
            announce_cost(plan, *todo[0])
        steps = _measure_here(plan, todo, store) if client is None else _measure_on_dask(client, plan, todo, store)
        for _ in show_progress(steps, cells, "cell", str):
            pass
    if shard is None:
        store.finish()


def _list_todo(plan: Plan, store: Store, shard: Shard | None) -> list[_Work]:
    """Return the blocks of a shard, or all of them, of which something is not measured yet."""
    todo = []
    for position, block in enumerate(plan.blocks()):
        if shard is None or shard.takes(position):
            work = _list_work(plan, store, block)
            if work.metrics:
                todo.append(work)
    return todo


def _list_work(plan: Plan, store: Store, block: ImageBlock) -> _Work:
    images = plan.images[block.rows]
    missing = {}
    for method in plan.functions.methods:
        names = [metric for metric in plan.functions.metrics if not store.has(block.model, method, metric, images)]
        if names:
            missing[method] = names
    return _Work(block, missing)


def _measure_here(plan: Plan, todo: Sequence[_Work], store: Store) -> Iterator[str]:
    """Measure and store cell by cell; yield what is measured next, for the progress bar."""
    for work in todo:
        block = plan.read_block(work.block.model, work.block.rows)
        for cell in iterate_cells(plan.functions, block, work.metrics):
            yield cell.name
            store.add(cell.measure())


def _measure_on_dask(client: object, plan: Plan, todo: Sequence[_Work], store: Store) -> Iterator[str]:
    """Let workers measure whole blocks; this process alone writes, and yields once for each cell that comes back."""
    settings = json.dumps(store.settings)

    def tasks() -> Iterator[Task]:
        for work in todo:
            block = plan.read_block(work.block.model, work.block.rows)
            # Known by its content: the same block that is asked for twice is run once.
            content = (settings, block.model, block.images, work.metrics)
            yield Task(content, (block, work.metrics))

    for rows_of_cells in run_on_dask(client, measure_block, plan.functions, tasks()):
        for rows in rows_of_cells:
            yield f"{rows[0]['method']}, {rows[0]['metric']}"
            store.add(rows)
