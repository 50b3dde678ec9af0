"""The one number per input that every method explains, and its slope; the only place that runs the model."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xnb.check import require
from xnb.types import Batch, Logits, Model, Scores, Target

# Inputs of one chunk together, in bytes. On a processor 16 pictures of 3x32x32 in float32: the activations of a
# small CNN are some hundred times its input, so such a chunk stays near the few MiB of second and third level
# cache. An accelerator wants work instead: 64 MiB.
CHUNK_BYTES = 16 * 3 * 32 * 32 * 4
CHUNK_BYTES_ACCELERATOR = 64 * 2**20


def chunks(x: Batch, chunk: int | None) -> Iterator[slice]:
    """Slices of the batch that are run together: `chunk` inputs each, or as many as stay in cache."""
    require(chunk is None or chunk >= 1, "chunk: must be at least 1 input, or None for automatic", chunk, "chunk=None")
    limit = CHUNK_BYTES if x.device.type == "cpu" else CHUNK_BYTES_ACCELERATOR
    size = chunk or max(1, limit // max(1, x[:1].nbytes))
    yield from (slice(start, start + size) for start in range(0, len(x), size))


def ready(model: Model, x: Batch) -> None:
    """Refuse what no method can explain: a model in training mode, or inference mode."""
    training = isinstance(model, nn.Module) and any(module.training for module in model.modules())
    require(not training, "score: model must be in evaluation mode", "a module with training == True", "model.eval()")
    require(
        not torch.is_inference_mode_enabled(),
        "score: inference mode switches gradients off for good",
        "torch.inference_mode()",
        "with torch.no_grad(): ...  # around your own code instead",
    )
    require(x.is_floating_point(), "score: x must be floating point", x, "x = x.float()")


def logits_of(model: Model, x: Batch) -> Logits:
    """Logits of one chunk, their shape checked."""
    out = model(x)
    require(
        isinstance(out, Tensor) and out.ndim == 2 and len(out) == len(x),
        "score: model must return logits (B, K)",
        out,
        "xnb.attribute(lambda x: model(x).flatten(1), x, target, ...)",
    )
    return out


def pick(out: Logits, target: Target) -> Scores:
    """Logit of each input's target class."""
    B, K = out.shape
    require(
        target.shape == (B,) and not target.is_floating_point() and target.dtype != torch.bool,
        f"score: target must be one class index per input, integer ({B},)",
        target,
        "target = model(x).argmax(1)",
    )
    inside = bool(((target >= 0) & (target < K)).all())  # on CUDA a bad index would kill the kernel
    require(inside, f"score: target must lie in [0, {K})", target.tolist(), "target = model(x).argmax(1)")
    return out.gather(1, target[:, None].long()).squeeze(1)


def logits(model: Model, x: Batch, *, chunk: int | None = None) -> Logits:
    """What the model says of each input, without a graph.

    Raises:
        ValueError: `model` is in training mode, or its output is not `(B, K)`.
    """
    ready(model, x)
    with torch.no_grad():
        return torch.cat([logits_of(model, x[part]) for part in chunks(x, chunk)])


def score(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Scores:
    """Logit of each input's target class, without a graph.

    Raises:
        ValueError: `model` is in training mode, its output is not `(B, K)`, or `target` is not
            one class index in `[0, K)` per input.
    """
    ready(model, x)
    require(len(target) == len(x), f"score: target must have one entry per input ({len(x)},)", target)
    with torch.no_grad():
        parts = [pick(logits_of(model, x[part]), target[part]) for part in chunks(x, chunk)]
    return torch.cat(parts)


def slope(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Batch:
    r"""Gradient of each input's score, :math:`\nabla_x f(x)`; parameters and `.grad` are not touched.

    Raises:
        ValueError: as `score`, or the score does not depend on `x` through differentiable operations.
    """
    ready(model, x)
    require(len(target) == len(x), f"score: target must have one entry per input ({len(x)},)", target)
    out = torch.empty_like(x)
    for part in chunks(x, chunk):
        out[part] = _slope_of_chunk(model, x[part].detach(), target[part])
    return out


def _slope_of_chunk(model: Model, x: Batch, target: Target) -> Batch:
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()  # a copy: an in-place first module must not reach the caller's pixels
        total = pick(logits_of(model, leaf * 1), target).sum()
        require(
            total.requires_grad,
            "score: no gradient reaches x",
            "an output without a graph",
            "use a method with needs == 'forward', e.g. xnb.attribute(model, x, target, 'occlusion')",
        )
        return torch.autograd.grad(total, leaf)[0]
