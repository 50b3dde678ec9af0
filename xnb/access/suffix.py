"""The rest of a model from a layer on: what comes before runs once, for many activations of one input.

Nothing is cut out of the model. It runs as it is, residual joins around the layer and functions between modules
included, while modules answer from a record for the length of a call.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from xnb.access.at_layer import check_called_once
from xnb.access.chunking import chunks
from xnb.access.hooks import find_module, replace_forward
from xnb.access.layout.axis_watch import AxisWatch, KnownAxes, SeenAxes, watch_axes
from xnb.access.layout.layer_maps import suggest_layer
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import Numbered, number_rows, run_as
from xnb.access.way_out import suggest_method
from xnb.check import refuse, require
from xnb.types import Batch, Logits


@dataclass(frozen=True, eq=False)
class Suffix:
    """The model from `layer` on, for one input: `suffix(activations) -> logits`.

    It is a model itself, so that `access.score` runs it; its passes are counted as forward passes, short as they are.

    Attributes:
        logits: what the whole model returned for the input.
        record: outputs of what came before by module name, one row each; also of the layer, and the input under "".
        written: names whose outputs what follows writes into: each call gets copies of them, not expanded rows.
        row: the number of the input in the caller's batch.
        axes: what the axes of the layer stand for, and those of the input.
    """

    model: nn.Module
    layer: str
    logits: Logits
    record: Mapping[str, Tensor]
    written: frozenset[str]
    row: Numbered
    axes: SeenAxes

    @property
    def activation(self) -> Tensor:
        """What the layer returned for the input, `(1, ...)`."""
        return self.record[self.layer]

    def __call__(self, activations: Tensor) -> Logits:
        outputs = _expand_rows(self.record, len(activations))
        outputs[self.layer] = activations
        for name in self.written:
            outputs[name] = outputs[name].clone()
        with run_as(self.row.only(0, len(activations))):
            return _run_from_outputs(self.model, outputs)


def make_suffix(model: nn.Module, x: Batch, layer: str) -> Suffix:
    """The rest of the model for the one input of `x`; see `make_suffixes`."""
    require(len(x) == 1, "suffix: x must be one input (1, ...)", x, "x = x[:1]")
    return next(make_suffixes(model, x, layer))


def make_suffixes(model: nn.Module, x: Batch, layer: str, axes: SeenAxes | None = None) -> Iterator[Suffix]:
    """Run the inputs together, record what modules before `layer` return, and yield the rest of the model for each.

    Where a module contains others, its own output is kept; one that is called again, or returns no tensor with a
    row an input, is run again, as are functions between modules. The model is changed for the length of a call only.

    Args:
        axes: what those of the layer stand for; None finds it.

    Raises:
        ValueError: `layer` is unknown, not called exactly once or returns no tensor with a row an input, or the
            model does not repeat itself when started from the record.
    """
    check_explainable(model, x)
    find_module(model, layer)
    for rows in chunks(x, None, large=True):
        part = x[rows].detach()
        numbers = number_rows(rows, len(x))
        if len(part) == 1:
            yield _suffix_of_one(model, part, numbers, layer, axes)
        else:
            yield from _suffixes_of_chunk(model, part, numbers, layer, axes)


def _suffix_of_one(model: nn.Module, x: Batch, row: Numbered, layer: str, axes: SeenAxes | None) -> Suffix:
    """Of one input all that has a single row, as a picture's only window, looks like a row of it: a copy tells."""
    with suppress(ValueError, RuntimeError):  # a model may run no more than one input
        return next(_suffixes_of_chunk(model, x.expand(2, *x.shape[1:]), row.only(0, 2), layer, axes))
    return next(_suffixes_of_chunk(model, x, row, layer, axes))


def _suffixes_of_chunk(
    model: nn.Module, x: Batch, rows: Numbered, layer: str, axes: SeenAxes | None
) -> Iterator[Suffix]:
    """Record one chunk, and show that the record is enough before any suffix is made of it."""
    # 1. Run the chunk once, and record what every module before the layer returns.
    watch = watch_axes(axes)
    with run_as(rows):
        record, logits = _record_outputs(model, x, layer, watch)

    # 2. Run the model again from the record of the first input alone, repeated to the length of the chunk. If a
    #    recorded tensor only looks like one row an input (a table with as many rows), its repeated first row is wrong.
    n = max(2, len(x))  # two at least: what must not grow with the batch does not show in one
    trial = {name: output.clone() for name, output in _expand_rows(_select_row(record, 0), n).items()}
    with torch.no_grad(), run_as(rows.only(0, n)):
        again = chunk_logits(lambda _: _run_from_outputs(model, trial), trial[""])

    # 3. Find what the rest of the model writes into: torch counts the writes to each tensor.
    written = frozenset(name for name, output in trial.items() if output._version > 0)

    # 4. Compare with the first input's logits. Another batch is rounded differently, on TF32 by 1e-3.
    close = torch.finfo(logits.dtype).eps ** (1 / 3)
    tolerance = close * float(logits.abs().max())
    same = torch.allclose(again, logits[:1], rtol=0, atol=tolerance, equal_nan=True)

    # 5. If they differ, the inputs may still go one by one: then nothing is shared that could be mistaken for a row.
    if len(x) > 1 and not same:
        for i, single in enumerate(x.split(1)):
            yield from _suffixes_of_chunk(model, single, rows.only(i), layer, axes)
        return
    if not same:
        rule = f"suffix: from {layer!r} on the model must say the same again"
        refuse(rule, again - logits[:1], suggest_method(model, x, "grad_cam"))
    seen = watch.read_axes(record[layer])
    for i, row_logits in enumerate(logits.split(1)):
        yield Suffix(model, layer, row_logits, _select_row(record, i), written, rows.only(i), seen)


def _select_row(record: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    row = slice(i, i + 1)
    return {name: output[row] for name, output in record.items()}


def _expand_rows(record: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """The one row of every output, `n` times, without a copy."""
    return {name: row.expand(n, *row.shape[1:]) for name, row in record.items()}


def _record_outputs(
    model: nn.Module, x: Batch, layer: str, watch: AxisWatch | KnownAxes
) -> tuple[dict[str, Tensor], Logits]:
    """Outputs by name of the layer and of the outermost modules that finish before it, and the model's logits."""
    record = {"": x}  # "" is the name of the model itself: under it stands the input, from which it is started again
    calls: Counter[str] = Counter()

    def run_and_record(name: str, forward: Callable[..., object], *args: object, **kwargs: object) -> object:
        out = forward(*args, **kwargs)
        calls[name] += 1
        if isinstance(out, Tensor) and out.ndim > 1 and len(out) == len(x) and layer not in record:
            # a module that answers from the record does not run the modules inside it
            for inner in [other for other in record if other.startswith(f"{name}.")]:
                del record[inner]
            record[name] = out.clone()  # what follows may write into it
        return out

    forwards: list[tuple[nn.Module, Callable[..., object]]] = []
    for name, module in model.named_modules():
        if name:
            forwards.append((module, partial(run_and_record, name, module.forward)))
    inputs = watch.start(x.clone())
    with torch.no_grad(), replace_forward(forwards), watch:
        logits = chunk_logits(model, inputs).clone()  # the model may return memory that its next call overwrites
    check_called_once(model, x, layer, calls[layer])
    if layer not in record:
        rule = f"layer: {layer!r} must return a tensor with one row an input ({len(x)})"
        refuse(rule, layer, suggest_layer(model, x))
    # a module that is called again after the layer cannot answer from one recorded output
    once = {name: output for name, output in record.items() if calls[name] <= 1}
    return once, logits


def _run_from_outputs(model: nn.Module, outputs: Mapping[str, Tensor]) -> Logits:
    """The model on `outputs[""]`, while each module of another name returns its output without being run."""
    forwards: list[tuple[nn.Module, Callable[..., object]]] = []
    for name, output in outputs.items():
        if name:
            forwards.append((model.get_submodule(name), partial(_return_output, output)))
    with replace_forward(forwards):
        return model(outputs[""])


def _return_output(output: Tensor, *args: object, **kwargs: object) -> Tensor:
    return output
