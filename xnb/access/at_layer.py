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

from xnb.access.hooks import answering, around, cut, hooked, submodule
from xnb.access.ledger import count, remembered
from xnb.access.score import chunks, logits_of, pick, ready
from xnb.check import require
from xnb.types import Batch, Logits, Target

Maps = Float[Tensor, "B D h w"]
NO_LAYER = "xnb.attribute(model, x, target, 'gradient')  # needs no layer"


def last_spatial(model: nn.Module, x: Batch) -> str:
    """Name of the module that is the last to return rows and columns, `(B, D, h, w)` with `h w > 1`; runs `x[:1]`.

    Where several return the same tensor, a block and its last module, it is the outermost. Modules that are
    called more than once are passed over.

    Raises:
        ValueError: there is none, or the model goes on with tokens `(B, N, D)`, as a vision transformer does:
            what it returned before is not the last that knows of places.
    """
    shapes = remembered(("shapes", model, tuple(x.shape[1:])), lambda: _shapes(model, x[:1]))
    calls = Counter(name for name, _ in shapes)
    rows = [i for i, (name, s) in enumerate(shapes) if len(s) == 4 and s[2] * s[3] > 1 and calls[name] == 1]
    require(bool(rows), "layer: no module returns rows and columns (B, D, h, w)", type(model).__name__, NO_LAYER)
    last = shapes[rows[-1]][0]
    tokens = [shape for _, shape in shapes[rows[-1] :] if len(shape) == 3]
    require(not tokens, f"layer: after {last!r}, rows and columns become tokens (B, N, D)", tokens[:1], NO_LAYER)
    return last


def _shapes(model: nn.Module, x: Batch) -> list[tuple[str, tuple[int, ...]]]:
    """Shape of what every module returns, in the order in which they finish."""
    shapes = []

    def after(name: str, module: nn.Module, args: tuple, out: object) -> None:
        shapes.append((name, tuple(out.shape) if isinstance(out, Tensor) else ()))

    with torch.no_grad(), around(model, lambda *call: None, after):
        logits_of(model, x.detach().clone())
    return shapes


def activation(model: nn.Module, x: Batch, layer: str, *, chunk: int | None = None) -> Maps:
    """What `layer` returns, without a graph.

    Raises:
        ValueError: `layer` is unknown, not called exactly once, or not `(B, D, h, w)`.
    """
    ready(model, x)
    seen = []

    def copy(module: nn.Module, args: tuple, out: object) -> None:
        seen.append(out.clone() if isinstance(out, Tensor) else out)  # what follows may write into it

    def run(part: slice) -> Maps:
        seen.clear()
        with torch.no_grad(), hooked([(submodule(model, layer), copy)]):
            logits_of(model, x[part].detach().clone())
        return _maps(layer, seen)

    return torch.cat([run(part) for part in chunks(x, chunk, wide=True)])


def activation_and_slope(
    model: nn.Module, x: Batch, target: Target, layer: str, *, chunk: int | None = None
) -> tuple[Maps, Maps]:
    r"""What `layer` returns and the gradient of the score there, :math:`A` and :math:`\partial f / \partial A`.

    Up to the layer the model runs without a graph, and backward stops there. The question is
    `("layer", model, x, target, layer)`: within `ledger.remembering` a pass that has both can answer it first.

    Raises:
        ValueError: as `activation`, or the score does not depend on the layer through differentiable operations.
    """
    ready(model, x, target)

    def run() -> tuple[Maps, Maps]:
        parts = [_slope_at(model, x[part], target[part], layer) for part in chunks(x, chunk, wide=True)]
        return torch.cat([maps for maps, _ in parts]), torch.cat([slope for _, slope in parts])

    return remembered(("layer", model, x, target, layer), run)


def _slope_at(model: nn.Module, x: Batch, target: Target, layer: str) -> tuple[Maps, Maps]:
    with cut(model, layer) as seen:
        total = pick(logits_of(model, x.detach().clone()), target).sum()
    maps = _maps(layer, seen)
    slope = torch.autograd.grad(total, maps, allow_unused=True)[0] if total.requires_grad else None
    require(slope is not None, "layer: no gradient of the score reaches it", layer, "method='ablation_cam'")
    count(backward=len(x))
    return maps.detach(), slope


def _maps(layer: str, seen: list) -> Maps:
    """The one output of the layer in a pass."""
    _called_once(layer, len(seen))
    maps = seen[0]
    spatial = isinstance(maps, Tensor) and maps.ndim == 4
    require(spatial, f"layer: {layer!r} must return maps (B, D, h, w)", maps, "layer=None  # the last that does")
    return maps


def _called_once(layer: str, calls: int) -> None:
    require(calls == 1, f"layer: {layer!r} must be called once in a pass", f"{calls} calls", "layer=None")


@dataclass(frozen=True, eq=False)
class Suffix:
    """The model from `layer` on, for one input: `suffix(activations) -> logits`.

    It is a model itself, so that `access.score` runs it; its passes are counted as forward passes, short as they are.

    Attributes:
        logits: what the whole model said of the input.
        rows: by module name, what came before: one row each, also of the layer, and of the input under "".
        written: names whose rows are written into by what follows: each call gets copies, not expanded rows.
    """

    model: nn.Module
    layer: str
    logits: Logits
    rows: Mapping[str, Tensor]
    written: frozenset[str]

    @property
    def activation(self) -> Tensor:
        """What the layer returned for the input, `(1, ...)`."""
        return self.rows[self.layer]

    def __call__(self, activations: Tensor) -> Logits:
        given = _expanded(self.rows, len(activations)) | {self.layer: activations}
        return _answered(self.model, {name: v.clone() if name in self.written else v for name, v in given.items()})


def suffix(model: nn.Module, x: Batch, layer: str) -> Suffix:
    """The rest of the model for the one input of `x`; see `suffixes`."""
    require(len(x) == 1, "suffix: x must be one input (1, ...)", x, "x[:1]")
    return next(suffixes(model, x, layer))


def suffixes(model: nn.Module, x: Batch, layer: str) -> Iterator[Suffix]:
    """Run the inputs together, keep what the modules that finish before `layer` returned, and be the rest of each.

    Where a module contains others, its own output is kept; one that is called again, or returns no tensor with a
    row an input, is run again, as are functions between modules. The model is changed for the length of a call only.

    Raises:
        ValueError: `layer` is unknown, not called exactly once or returns no tensor with a row an input, or the
            model does not repeat itself when started from the record.
    """
    ready(model, x)
    submodule(model, layer)
    for part in chunks(x, None, wide=True):
        yield from _of_chunk(model, x[part].detach(), layer)


def _of_chunk(model: nn.Module, x: Batch, layer: str) -> Iterator[Suffix]:
    rows, logits = _recorded(model, x, layer)
    n = max(2, len(x))  # the first input alone, so many times: what is no row of an input shows
    trial = {name: row.clone() for name, row in _expanded(_row(rows, 0), n).items()}
    with torch.no_grad():
        again = logits_of(lambda _: _answered(model, trial), trial[""])
    written = frozenset(name for name, given in trial.items() if given._version > 0)  # torch counts writes
    close = torch.finfo(logits.dtype).eps ** (1 / 3)  # another batch is rounded differently, on TF32 by 1e-3
    same = torch.allclose(again, logits[:1], rtol=0, atol=close * float(logits.abs().max()), equal_nan=True)
    if len(x) > 1 and not same:
        for one in x.split(1):
            yield from _of_chunk(model, one, layer)
        return
    require(same, f"suffix: from {layer!r} on the model must say the same again", again - logits[:1], "layer=None")
    for i, said in enumerate(logits.split(1)):
        yield Suffix(model, layer, said, _row(rows, i), written)


def _row(rows: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    return {name: row[i : i + 1] for name, row in rows.items()}


def _recorded(model: nn.Module, x: Batch, layer: str) -> tuple[dict[str, Tensor], Logits]:
    rows, calls = {"": x}, Counter()

    def watch(name: str, forward: Callable, *args: object, **kwargs: object) -> object:
        out = forward(*args, **kwargs)
        calls[name] += 1
        if layer not in rows and isinstance(out, Tensor) and out.ndim > 1 and len(out) == len(x):
            for inside in [other for other in rows if other.startswith(f"{name}.")]:
                del rows[inside]
            rows[name] = out.clone()  # what follows may write into it
        return out

    pairs = [(module, partial(watch, name, module.forward)) for name, module in model.named_modules() if name]
    with torch.no_grad(), answering(pairs):
        logits = logits_of(model, x.clone())
    _called_once(layer, calls[layer])
    require(layer in rows, f"layer: {layer!r} must return a tensor with one row an input", layer, "layer=None")
    return {name: row for name, row in rows.items() if calls[name] <= 1}, logits


def _expanded(rows: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    return {name: row.expand(n, *row.shape[1:]) for name, row in rows.items()}


def _answered(model: nn.Module, given: Mapping[str, Tensor]) -> Logits:
    """The model on `given[""]`, while the modules of the other names return what is given for them."""
    pairs = [(model.get_submodule(name), partial(_constant, value)) for name, value in given.items() if name]
    with answering(pairs):
        return model(given[""])


def _constant(value: Tensor, *args: object, **kwargs: object) -> Tensor:
    return value
