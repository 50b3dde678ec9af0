"""One method on a whole data set, block by block, into a store on disk: it may be larger than memory, and be killed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset

from xnb.access.data_sets import describe_data, read_data_set, read_rows
from xnb.access.descriptions import describe_function, fingerprint
from xnb.access.targets import read_target
from xnb.check import require
from xnb.data import Part, Streamed
from xnb.explanation.attribution_store import AttributionStore, MapForm
from xnb.explanation.block_maps import Block, Question, Result, explain_block, try_first
from xnb.methods import METHODS
from xnb.methods.promises import warn_if_broken
from xnb.progress import announce_passes, name_call, show_progress
from xnb.registry import check_knobs
from xnb.scale.dask_tasks import Task, run_on_dask
from xnb.scale.shards import read_shard
from xnb.types import Model, Target, TargetLike

if TYPE_CHECKING:
    import zarr

_PRECISIONS = ("float16", "float32", "float64")


def attribute_data(
    model: Model,
    data: Part | Streamed | Dataset | DataLoader,
    method: str | Callable,
    path: str | Path,
    *,
    target: TargetLike | None = None,
    knobs: Mapping[str, object] | None = None,
    batch: int = 64,
    dtype: str | torch.dtype | None = None,
    shard: str | tuple[int, int] | None = None,
    client: object | None = None,
) -> "zarr.Group":
    """Explain every input of a data set by one method, into a store on disk; memory does not grow with their number.

        store = xnb.attribute_data(model, dataset, "integrated_gradients", "maps.zarr")
        maps = torch.from_numpy(store["attribution"][100:200])  # these are read, and no others

    The store is a Zarr group, read later by `zarr.open_group("maps.zarr", mode="r")`, with a row an input in its
    arrays: `attribution`, what `attribute` returns; `target`, the class that was explained; `logit` of that class, in
    double precision; `error`, empty, or why an input has no map: it could not be read, or the method refused it. Its
    map and its logit are NaN then, as they are of inputs that are not explained yet, which `error` says too.

    The same call goes on where it was stopped: a block whose chunks are there is not run again. All files have the same
    bytes, whoever is killed and whatever shares the work, if all run as many threads. As `attribute` does, it warns,
    once, of a map that does not keep what its method promises.

    Args:
        data: as of `compare`: in memory, or streamed, which is known again by its number of inputs and 64 of them.
        method: a name in `xnb.catalog()`, or a function `(model, x, target) -> attribution`.
        path: of the store, a folder.
        target: a class for each input, e.g. `data.y`, or one for all; the predicted class if omitted.
        knobs: of the method, `{"steps": 64}`.
        batch: inputs that run together, and of a chunk on disk.
        dtype: of the stored maps, "float16", "float32" or "float64"; that in which they come if omitted. Half
            precision has three digits, takes half the place, and makes zeros of values below 6e-8.
        shard: `"3/16"` works on every sixteenth block alone, beginning with the third, in as many processes or
            machines as there are shards, all with the same `path`; the same call without `shard` does what is left.
        client: of `dask.distributed`, whose workers explain the blocks; this process alone writes.

    Raises:
        ValueError: what `attribute` refuses for the first input, or a store that was made with other settings.
        ImportError: Zarr is not installed, which is in the extra `scale`.
    """
    share = read_shard(shard, "attribute_data")
    require(batch >= 1, "attribute_data: batch must be at least 1 input", batch, "batch=64")
    source = read_data_set(model, data, "attribute_data")
    size = len(source)
    classes = None
    if target is not None:
        classes = read_target(target, torch.empty(size, device=source[:1].x.device))
    question = _make_question(model, method, knobs or {}, _read_precision(dtype), size)
    work = _Work(question, source, classes, batch)
    store = AttributionStore(Path(path), work.settings(), size, batch)
    finished = store.list_finished()
    starts = range(0, size, batch)
    todo = []
    # shares are counted among all blocks: what another run has finished moves none from one to another
    for number, start in enumerate(starts):
        if number not in finished and (share is None or share.takes(number)):
            todo.append(start)
    if todo:
        _explain_missing(work, store, todo, client)
    return store.open()


@dataclass(frozen=True)
class _Work:
    """A question and the inputs that it is asked of.

    Attributes:
        target: a class for each input; None stands for the class that the model predicts.
        batch: inputs of a block.
    """

    question: Question
    data: Part | Streamed
    target: Target | None
    batch: int

    def read_inputs(self, start: int) -> Block:
        """Read the block that begins at this input."""
        rows = slice(start, min(start + self.batch, len(self.data)))
        target = None if self.target is None else self.target[rows]
        return Block(start, rows.stop - start, read_rows(self.data, rows), target)

    def settings(self) -> dict[str, object]:
        """Return all that the stored values are a function of, as JSON can hold it."""
        return {
            "model": fingerprint(self.question.model),
            "data": describe_data(self.data),
            "target": "predicted" if self.target is None else fingerprint([self.target]),
            "method": describe_function(self.question.method),
            "batch": self.batch,
            "dtype": str(self.question.dtype or "of the maps"),
            "torch": torch.__version__,
        }


def _make_question(
    model: Model,
    method: str | Callable,
    knobs: Mapping[str, Any],
    dtype: torch.dtype | None,
    size: int,
) -> Question:
    """Look the method up, and bind its knobs."""
    function = method if callable(method) else METHODS.find(method)
    check_knobs(function, knobs, "attribute_data" if callable(method) else method)
    name = "" if callable(method) else method
    return Question(model, partial(function, **knobs), name, knobs, dtype, size)


def _read_precision(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    require(name in _PRECISIONS, f"attribute_data: dtype must be one of {_PRECISIONS}", dtype, 'dtype="float32"')
    return getattr(torch, name)


def _explain_missing(work: _Work, store: AttributionStore, todo: Sequence[int], client: object | None) -> None:
    """Explain the blocks that begin at these inputs, and write each as soon as it is known."""
    question = work.question
    first = work.data[:1].x
    target = None if work.target is None else work.target[:1]
    with name_call("attribute_data"):
        form, passes = try_first(question, first, target)
        # here, so that the method within does not say it of the inputs of a block
        announce_passes(passes, min(len(todo) * work.batch, question.size))
        store.lay_out(form)
        results = _explain_here(work, form, todo)
        if client is not None:
            results = _explain_on_dask(client, work, form, todo, json.dumps(store.settings))
        warned = False
        for result in show_progress(results, len(todo), "block"):
            store.write(result.start, result.explained)
            if result.broken is not None and not warned:
                warned = True
                warn_if_broken(question.name, result.broken, question.knobs)


def _explain_here(work: _Work, form: MapForm, todo: Sequence[int]) -> Iterator[Result]:
    for start in todo:
        yield explain_block(work.question, form, work.read_inputs(start))


def _explain_on_dask(
    client: object, work: _Work, form: MapForm, todo: Sequence[int], settings: str
) -> Iterator[Result]:
    """Let workers explain the blocks; they come back in the order in which they are done."""

    def tasks() -> Iterator[Task]:
        for start in todo:
            # Known by its content: the same block that is asked for twice is run once.
            yield Task((settings, start), (form, work.read_inputs(start)))

    yield from run_on_dask(client, explain_block, work.question, tasks())
