"""A model split at a layer: what comes before runs without a graph, or once for many activations.

Nothing is cut out of the model. It runs as it is, residual joins around the layer and functions between modules
included, while modules answer from a record for the length of a call.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.access.chunking import chunks
from xnb.access.hooks import cut_graph, find_module, forward_hooks, replace_forward, watch_calls
from xnb.access.ledger import add_passes
from xnb.access.memo import answer_once, leave_answer
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import Numbered, number_rows, run_as, select_rows
from xnb.access.targets import target_logit
from xnb.check import refuse, require
from xnb.types import Batch, Logits, Model, Target

Maps = Float[Tensor, "B D h w"]
_NO_LAYER = "xnb.attribute(model, x, target, 'gradient')  # needs no layer"


def last_spatial_layer(model: nn.Module, x: Batch) -> str:
    """Name of the module that is the last to return rows and columns, `(B, D, h, w)` with `h w > 1`; runs `x[:1]`.

    Where several return the same tensor, a block and its last module, it is the outermost. Modules that are
    called more than once are passed over.

    Raises:
        ValueError: there is none, or the model goes on with tokens `(B, N, D)`, as a vision transformer does:
            what it returned before is not the last that knows of places.
    """
    question = ("output shapes", model, tuple(x.shape[1:]))
    outputs = answer_once(question, lambda: _output_shapes(model, x))
    calls = Counter(name for name, _ in outputs)
    layer = None
    tokens: list[tuple[int, ...]] = []
    for name, shape in outputs:
        spatial = len(shape) == 4 and shape[2] * shape[3] > 1
        if spatial and calls[name] == 1:
            layer = name
            tokens = []  # only what comes after the last such module says what the model goes on with
        elif len(shape) == 3:
            tokens.append(shape)
    if layer is None:
        refuse("layer: no module returns rows and columns (B, D, h, w)", type(model).__name__, _NO_LAYER)
    require(not tokens, f"layer: after {layer!r}, rows and columns become tokens (B, N, D)", tokens[:1], _NO_LAYER)
    return layer


def _output_shapes(model: nn.Module, x: Batch) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of the output of every module, in the order in which they finish; `()` for what is no tensor.

    Of the first input alone.
    """
    outputs = []

    def before(name: str, module: nn.Module, args: tuple) -> None:
        pass

    def after(name: str, module: nn.Module, args: tuple, out: object) -> None:
        shape = tuple(out.shape) if isinstance(out, Tensor) else ()
        outputs.append((name, shape))

    with torch.no_grad(), watch_calls(model, before, after), select_rows(slice(1), len(x)):
        chunk_logits(model, x[:1].detach().clone())
    return outputs


def layer_activation(model: nn.Module, x: Batch, layer: str, *, chunk: int | None = None) -> Maps:
    """What `layer` returns, without a graph.

    Raises:
        ValueError: `layer` is unknown, not called exactly once, or not `(B, D, h, w)`.
    """
    check_explainable(model, x)
    outputs: list[object] = []

    def keep(module: nn.Module, args: tuple, out: object) -> None:
        outputs.append(out.clone() if isinstance(out, Tensor) else out)  # what follows may write into it

    results = []
    for rows in chunks(x, chunk, large=True):
        outputs.clear()
        with torch.no_grad(), forward_hooks([(find_module(model, layer), keep)]), select_rows(rows, len(x)):
            chunk_logits(model, x[rows].detach().clone())
        results.append(_only_maps(layer, outputs))
    return torch.cat(results)


def activation_and_gradient(
    model: nn.Module, x: Batch, target: Target, layer: str, *, chunk: int | None = None
) -> tuple[Maps, Maps]:
    r"""What `layer` returns and the gradient of the score there, :math:`A` and :math:`\partial f / \partial A`.

    Up to the layer the model runs without a graph, and backward stops there. Within `memo.remember_answers` a pass
    that has both can leave them first, by `leave_activation_and_gradient`.

    Raises:
        ValueError: as `layer_activation`, or the score does not depend on the layer through differentiable operations.
    """
    check_explainable(model, x, target)

    def compute() -> tuple[Maps, Maps]:
        activations = []
        gradients = []
        for rows in chunks(x, chunk, large=True):
            with select_rows(rows, len(x)):
                activation, gradient = _chunk_at_layer(model, x[rows], target[rows], layer)
            activations.append(activation)
            gradients.append(gradient)
        return torch.cat(activations), torch.cat(gradients)

    return answer_once(_layer_question(model, x, target, layer), compute)


def leave_activation_and_gradient(
    model: Model, x: Batch, target: Target, layer: str, activation: Tensor, gradient: Tensor
) -> None:
    """Leave what `activation_and_gradient` would return, for later calls within `memo.remember_answers`.

    What is no `(B, D, h, w)` is not left, so that whoever asks for it is refused as without it.
    """
    if activation.ndim == 4:
        leave_answer(_layer_question(model, x, target, layer), (activation, gradient))


def _layer_question(model: Model, x: Batch, target: Target, layer: str) -> tuple:
    return "activation and gradient", model, x, target, layer


def _chunk_at_layer(model: nn.Module, x: Batch, target: Target, layer: str) -> tuple[Maps, Maps]:
    with cut_graph(model, layer) as leaves:
        total = target_logit(chunk_logits(model, x.detach().clone()), target).sum()
    activation = _only_maps(layer, leaves)
    gradient = None
    if total.requires_grad:
        gradient, *_ = torch.autograd.grad(total, activation, allow_unused=True)
    if gradient is None:
        refuse("layer: no gradient of the score reaches it", layer, "method='ablation_cam'")
    add_passes(backward=len(x))
    return activation.detach(), gradient


def _only_maps(layer: str, outputs: list[object]) -> Maps:
    """The one output of the layer in a pass."""
    _check_called_once(layer, len(outputs))
    maps = outputs[0]
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        refuse(f"layer: {layer!r} must return maps (B, D, h, w)", maps, "layer=None  # the last that does")
    return maps


def _check_called_once(layer: str, calls: int) -> None:
    require(calls == 1, f"layer: {layer!r} must be called once in a pass", f"{calls} calls", "layer=None")


@dataclass(frozen=True, eq=False)
class Suffix:
    """The model from `layer` on, for one input: `suffix(activations) -> logits`.

    It is a model itself, so that `access.score` runs it; its passes are counted as forward passes, short as they are.

    Attributes:
        logits: what the whole model returned for the input.
        record: outputs of what came before by module name, one row each; also of the layer, and the input under "".
        written: names whose outputs what follows writes into: each call gets copies of them, not expanded rows.
        row: the number of the input in the caller's batch.
    """

    model: nn.Module
    layer: str
    logits: Logits
    record: Mapping[str, Tensor]
    written: frozenset[str]
    row: Numbered

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
    require(len(x) == 1, "suffix: x must be one input (1, ...)", x, "x[:1]")
    return next(make_suffixes(model, x, layer))


def make_suffixes(model: nn.Module, x: Batch, layer: str) -> Iterator[Suffix]:
    """Run the inputs together, record what modules before `layer` return, and yield the rest of the model for each.

    Where a module contains others, its own output is kept; one that is called again, or returns no tensor with a
    row an input, is run again, as are functions between modules. The model is changed for the length of a call only.

    Raises:
        ValueError: `layer` is unknown, not called exactly once or returns no tensor with a row an input, or the
            model does not repeat itself when started from the record.
    """
    check_explainable(model, x)
    find_module(model, layer)
    for rows in chunks(x, None, large=True):
        yield from _suffixes_of_chunk(model, x[rows].detach(), number_rows(rows, len(x)), layer)


def _suffixes_of_chunk(model: nn.Module, x: Batch, rows: Numbered, layer: str) -> Iterator[Suffix]:
    """Record one chunk, and show that the record is enough before any suffix is made of it."""
    # 1. Run the chunk once, and record what every module before the layer returns.
    with run_as(rows):
        record, logits = _record_outputs(model, x, layer)

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
            yield from _suffixes_of_chunk(model, single, rows.only(i), layer)
        return
    require(same, f"suffix: from {layer!r} on the model must say the same again", again - logits[:1], "layer=None")
    for i, row_logits in enumerate(logits.split(1)):
        yield Suffix(model, layer, row_logits, _select_row(record, i), written, rows.only(i))


def _select_row(record: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    row = slice(i, i + 1)
    return {name: output[row] for name, output in record.items()}


def _expand_rows(record: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """The one row of every output, `n` times, without a copy."""
    return {name: row.expand(n, *row.shape[1:]) for name, row in record.items()}


def _record_outputs(model: nn.Module, x: Batch, layer: str) -> tuple[dict[str, Tensor], Logits]:
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
    with torch.no_grad(), replace_forward(forwards):
        logits = chunk_logits(model, x.clone()).clone()  # the model may return memory that its next call overwrites
    _check_called_once(layer, calls[layer])
    require(layer in record, f"layer: {layer!r} must return a tensor with one row an input", layer, "layer=None")
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
