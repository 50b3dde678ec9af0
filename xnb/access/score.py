"""The one number per input that every method explains, and its slope; the only place that runs the model."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xnb.access.ledger import count, remembered
from xnb.check import refuse, require
from xnb.progress import watched
from xnb.types import Batch, Logits, Model, Scores, Target

# Inputs of one chunk together, in bytes. On a processor 16 pictures of 3x32x32 in float32: the activations of a
# small CNN are some hundred times its input, so such a chunk stays near the few MiB of second and third level
# cache. An accelerator wants work instead: 64 MiB.
CHUNK_BYTES = 16 * 3 * 32 * 32 * 4
CHUNK_BYTES_ACCELERATOR = 64 * 2**20
# A network on a table widens it less than one on pictures does, but to as many units whatever the features: four
# times the bytes, and a row counts as 96 numbers at least. That is 2,048 rows.
CHUNK_TABLE, ROW = 4, 96
# Large pictures still go four at a time: one by one costs a residual network at 224 pixels a quarter more.
CHUNK_LEAST = 4

FORWARD_ONLY = "use a method with needs == 'forward', e.g. xnb.attribute(model, x, target, 'occlusion')"

Change = Callable[[slice, slice], Tensor]  # (which changes, which inputs) -> changed inputs (n, b, *shape)


def chunk_size(x: Batch, chunk: int | None, *, wide: bool = False) -> int:
    """Inputs that are run together: `chunk`, or as many as stay in cache; `wide` twice that, if no graph is kept."""
    require(chunk is None or chunk >= 1, "chunk: must be at least 1 input, or None for automatic", chunk, "chunk=None")
    limit = CHUNK_BYTES if x.device.type == "cpu" else CHUNK_BYTES_ACCELERATOR
    table = x.ndim == 2
    values = max(ROW if table else 1, x.shape[1:].numel())
    limit *= (CHUNK_TABLE if table else 1) * (2 if wide else 1)
    return chunk or max(CHUNK_LEAST, limit // (x.element_size() * values))


def chunks(x: Batch, chunk: int | None, *, wide: bool = False) -> Iterator[slice]:
    """Slices of the batch that are run together."""
    size = chunk_size(x, chunk, wide=wide)
    yield from (slice(start, start + size) for start in range(0, len(x), size))


def blocks(x: Batch, changes: int, chunk: int | None, *, graph: bool = True) -> list[tuple[slice, slice]]:
    """Pairs (changes, inputs) that are run together, so that `changes` of every input become cache-sized passes."""
    size = chunk_size(x, chunk, wide=not graph)
    together = max(1, size // max(1, len(x)))
    return [
        (slice(start, min(start + together, changes)), part)
        for start in range(0, changes, together)
        for part in chunks(x, size)
    ]


def together(parts: list[Tensor], x: Batch) -> Tensor:
    """What came of each chunk, as one tensor; of no input, nothing."""
    if not parts:
        return torch.zeros_like(x[:0])
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def ready(model: Model, x: Batch, target: Target | None = None) -> None:
    """Refuse what no method can explain: a model in training mode, inference mode, integers, a short target."""
    training = isinstance(model, nn.Module) and any(module.training for module in model.modules())
    require(not training, "score: model must be in evaluation mode", "a module with training == True", "model.eval()")
    require(
        not torch.is_inference_mode_enabled(),
        "score: inference mode switches gradients off for good",
        "torch.inference_mode()",
        "with torch.no_grad(): ...  # around your own code instead",
    )
    require(x.is_floating_point(), "score: x must be floating point", x, "x = x.float()")
    short = target is not None and len(target) != len(x)
    require(not short, f"score: target must have one entry per input ({len(x)},)", target)


def logits_of(model: Model, x: Batch) -> Logits:
    """Logits of one chunk, their shape checked."""
    out = model(x)
    require(
        isinstance(out, Tensor) and out.ndim == 2 and len(out) == len(x),
        "score: model must return logits (B, K)",
        out,
        "xnb.attribute(lambda x: model(x).flatten(1), x, target, ...)",
    )
    count(forward=len(x))
    return out


def pick(out: Logits, target: Target) -> Scores:
    """Logit of each input's target class."""
    return out.gather(1, column(out, target)).squeeze(1)


def column(out: Logits, target: Target) -> Int[Tensor, "B 1"]:
    """Where the logit of each input's target class stands in its row."""
    B, K = out.shape
    require(
        target.shape == (B,) and not target.is_floating_point() and target.dtype != torch.bool,
        f"score: target must be one class index per input, integer ({B},)",
        target,
        "target = model(x).argmax(1)",
    )
    low, high = map(int, target.aminmax()) if B else (0, 0)
    if low < 0 or high >= K:  # on CUDA a bad index would kill the kernel
        require(False, f"score: target must lie in [0, {K})", target.tolist(), "target = model(x).argmax(1)")
    return target.unsqueeze(1).long()


def logits(model: Model, x: Batch, *, chunk: int | None = None) -> Logits:
    """What the model says of each input, without a graph.

    Raises:
        ValueError: `model` is in training mode, or its output is not `(B, K)`.
    """
    ready(model, x)
    with torch.no_grad():
        return torch.cat([logits_of(model, x[part]) for part in chunks(x, chunk, wide=True)])


def score(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Scores:
    """Logit of each input's target class, without a graph.

    Raises:
        ValueError: `model` is in training mode, its output is not `(B, K)`, or `target` is not
            one class index in `[0, K)` per input.
    """
    ready(model, x, target)

    def run() -> Scores:
        with torch.no_grad():
            parts = chunks(x, chunk, wide=True)
            return torch.cat([pick(logits_of(model, x[part]), target[part]) for part in parts])

    return remembered(("score", model, x, target), run)


def changed_scores(
    model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Float[Tensor, "N B"]:
    """Score of every input under each of `changes` changes, run in cache-sized passes, without a graph.

    Args:
        change: called with (which changes, which inputs), returns those inputs changed, `(n, b, *shape)`.
    """
    ready(model, x, target)
    out = x.new_empty(changes, len(x))
    plan = blocks(x, changes, chunk, graph=False)
    with torch.no_grad():
        for some, part in watched(plan, len(plan), "pass"):
            inputs = change(some, part)
            n, b = inputs.shape[:2]
            out[some, part] = pick(logits_of(model, inputs.flatten(0, 1)), target[part].repeat(n)).view(n, b)
    return out


def slope(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Batch:
    r"""Gradient of each input's score, :math:`\nabla_x f(x)`; parameters and `.grad` are not touched.

    Raises:
        ValueError: as `score`, or the score does not depend on `x` through differentiable operations.
    """

    def run() -> Batch:
        return together([found for _, found, _ in _passes(model, x, target, chunk)], x)

    return remembered(("slope", model, x, target), run)


def slopes_and_scores(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> tuple[Batch, Scores]:
    """Gradient of each input's score, and the score itself from the same passes."""
    slopes, scores = [], [x.new_empty(0)]
    for part, found, out in _passes(model, x, target, chunk):
        slopes.append(found)
        scores.append(pick(out, target[part]))
    return together(slopes, x), torch.cat(scores)


def _passes(model: Model, x: Batch, target: Target, chunk: int | None) -> Iterator[tuple[slice, Batch, Logits]]:
    ready(model, x, target)
    parts = list(chunks(x, chunk))
    for part in watched(parts, len(parts), "pass"):
        yield part, *slope_of(model, x[part], target[part])[:2]


def changed_slopes(
    model: Model, x: Batch, target: Target, change: Change, changes: int, *, chunk: int | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Slope of the score at each changed input: yields (which changes, which inputs, slopes `(n, b, *shape)`)."""
    ready(model, x, target)
    plan = blocks(x, changes, chunk)
    for some, part in watched(plan, len(plan), "pass"):
        inputs = change(some, part)
        found = slope_of(model, inputs.flatten(0, 1), target[part].repeat(len(inputs)))
        yield some, part, found[0].view(inputs.shape)


def slope_of(
    model: Model, x: Batch, target: Target, seen: Mapping[str, Tensor] = MappingProxyType({})
) -> tuple[Batch, Logits, list[Tensor]]:
    """Slope of the score and logits of one chunk; also the slopes at what `hooks.captured` has `seen` on the way."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        # a copy: an in-place first module must not reach the caller's pixels
        out = logits_of(model, leaf.clone())
        wanted = torch.zeros_like(out).scatter_(1, column(out, target), 1)  # backward, this is the score of the target
        require(out.requires_grad, "score: no gradient reaches x", "an output without a graph", FORWARD_ONLY)
        found = torch.autograd.grad(out, [leaf, *seen.values()], wanted, allow_unused=True)
    require(found[0] is not None, "score: no gradient reaches x", "an output that does not depend on x", FORWARD_ONLY)
    count(backward=len(x))
    return found[0], out.detach(), list(found[1:])


def per_input(values: Tensor, x: Batch) -> Tensor:
    """`values` with axes of one added, so that they broadcast against `x`."""
    return values.view(*values.shape, *[1] * (x.ndim - values.ndim))


def expand_baseline(baseline: Tensor | float, x: Batch) -> Batch:
    """The baseline of each input: a number or a tensor, broadcast against `x`.

    Raises:
        ValueError: it does not broadcast to `x`, or is of another dtype or on another device.
    """
    values = baseline if isinstance(baseline, Tensor) else x.new_tensor(baseline)
    same = values.dtype == x.dtype and values.device == x.device
    rule = f"baseline: must have x's dtype and device, {x.dtype} on {x.device}"
    require(same, rule, values, "baseline=torch.zeros_like(x)")
    try:
        return values.expand_as(x)
    except RuntimeError:
        refuse(f"baseline: must broadcast to x {tuple(x.shape)}", baseline, "baseline=torch.zeros_like(x)")
