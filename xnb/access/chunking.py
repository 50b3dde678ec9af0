"""Batches in chunks: as many inputs together as keep a pass in cache, or in an accelerator's memory."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xnb.access.memory import read_free_memory
from xnb.check import require
from xnb.types import Batch, Model

# This limits the inputs that run together, in bytes; `methods.cam` limits what enters the rest of a model behind a
# layer, `methods.incremental` the widest activation of the windows that run together. On a processor 16 pictures of
# 3x32x32 in float32: the activations of a small CNN are some hundred times its input, so such a chunk stays near the
# few MiB of second and third level cache.
CHUNK_BYTES = 16 * 3 * 32 * 32 * 4
# An accelerator wants work instead, as much as its memory holds. For its backward pass a network keeps so many times
# its input, counted by `xnb.summary.count_memory`: 56 in `SmallCNN`, 142 in a ResNet-50, 256 in a ViT-B/16, 383 in a
# ResNet-18 of 64 channels at 32 x 32. A fourth of what is free leaves room for rules, which keep more.
_BYTES_KEPT = 512
_FREE_SHARE = 1 / 4
_CHUNK_BYTES_UNKNOWN = 64 * 2**20  # where a device does not tell how much is free
# For a table, inputs (B, D). There a network's activations are a smaller multiple of its input than on pictures, so
# four times the bytes run together. Hidden layers do not shrink with D, so a row counts as 96 values at least: 2,048
# rows run together where D is smaller.
_TABLE_FACTOR = 4
_TABLE_LEAST_FEATURES = 96
# Large pictures still go four at a time: one by one costs a residual network at 224 pixels a quarter more.
CHUNK_LEAST = 4
# A chunk may hold a quarter more: a small rest costs as many calls as a whole chunk, and leaves cores without work.
_SPREAD = 1.25
# A network with fewer parameters is narrow: the activations of twice as many pictures stay in cache, and its many
# small calls cost more than they compute. Measured: with 29,000 parameters it gains a fifth, with 750,000 it loses
# a seventh.
_NARROW_PARAMETERS = 100_000


def limit_bytes(kind: str, free: int | None) -> int:
    """Bytes of inputs that run together on a device, by its kind ("cpu", "cuda", "mps") and the bytes that are free.

    On an accelerator a power of two, so that somewhat more or less free memory makes no other chunks, whose maps
    would be rounded in another way. `chunk_size` still runs four inputs together where that is less.
    """
    if kind == "cpu":
        return CHUNK_BYTES
    if free is None:
        return _CHUNK_BYTES_UNKNOWN
    fitting = int(free * _FREE_SHARE / _BYTES_KEPT)
    return 2 ** (fitting.bit_length() - 1) if fitting > 0 else 0


def chunk_size(x: Batch, chunk: int | None, *, large: bool = False) -> int:
    """Inputs that are run together: `chunk`, or as many as stay in cache; twice as many if `large`.

    Args:
        large: for passes that keep no graph, or that repeat costly work for each chunk.
    """
    require(chunk is None or chunk >= 1, "chunk: must be at least 1 input, or None for automatic", chunk, "chunk=None")
    if chunk:
        return chunk
    limit = limit_bytes(x.device.type, read_free_memory(x.device))
    values = max(1, x.shape[1:].numel())
    if x.ndim == 2:  # a table
        limit *= _TABLE_FACTOR
        values = max(_TABLE_LEAST_FEATURES, values)
    if large:
        limit *= 2
    return max(CHUNK_LEAST, limit // (x.element_size() * values))


def chunks(x: Batch, chunk: int | None, *, large: bool = False) -> Iterator[slice]:
    """Slices of the batch that are run together: `chunk` inputs each, or automatically of equal sizes."""
    size = chunk_size(x, chunk, large=large)
    if chunk is None:
        size = _spread_evenly(len(x), size)
    for start in range(0, len(x), size):
        yield slice(start, start + size)


def gradient_chunks(model: Model, x: Batch, chunk: int | None) -> Iterator[slice]:
    """Slices that run together where every input passes once, forward and backward; larger for a narrow network."""
    return chunks(x, chunk, large=x.ndim > 2 and _is_narrow(model))


def _is_narrow(model: Model) -> bool:
    if not isinstance(model, nn.Module):
        return False
    return sum(parameter.numel() for parameter in model.parameters()) < _NARROW_PARAMETERS


def _spread_evenly(inputs: int, size: int) -> int:
    """Inputs of a chunk if all are about equal, at most a quarter more than `size`: 24 by 10 are 12 and 12."""
    count = max(1, math.ceil(inputs / (_SPREAD * size)))
    return max(1, math.ceil(inputs / count))


def plan_passes(x: Batch, changes: int, chunk: int | None, *, large: bool = False) -> list[tuple[slice, slice]]:
    """Pairs (draws, rows) that are run together, so that `changes` of every input become cache-sized passes."""
    size = chunk_size(x, chunk, large=large)
    draws = max(1, size // max(1, len(x)))
    plan: list[tuple[slice, slice]] = []
    for start in range(0, changes, draws):
        end = min(start + draws, changes)
        plan.extend((slice(start, end), rows) for rows in chunks(x, chunk, large=large))
    return plan


def join_chunks(results: list[Tensor], x: Batch) -> Tensor:
    """What came of each chunk, as one tensor; of a batch without inputs, an empty one."""
    if not results:
        return torch.zeros_like(x[:0])
    if len(results) == 1:
        return results[0]
    return torch.cat(results)
