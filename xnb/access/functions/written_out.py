"""Functions of torch written out in smaller ones, so that rules of these serve them too.

Each takes the arguments of the torch function of its name and returns what that does, to rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.access.functions.recurrence import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from xnb.check import require

Number = int | float
_WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"


def _standardise(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    variance = (centred * centred).mean(axes, keepdim=True)
    return centred * (variance + eps).rsqrt()


def _scale_and_shift(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def align_channels(values: Tensor | None, x: Tensor) -> Tensor | None:
    """One value a channel, as it broadcasts against `(B, C, ...)`."""
    if values is None:
        return None
    return values.view(1, -1, *[1] * (x.ndim - 2))


def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / deviation over the last axes."""
    axes = tuple(range(-len(shape), 0))
    return _scale_and_shift(_standardise(x, axes, eps), weight, bias)


def group_norm(
    x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / deviation over each group of channels."""
    grouped = x.reshape(len(x), groups, -1)
    standard = _standardise(grouped, (2,), eps).reshape(x.shape)
    return _scale_and_shift(standard, align_channels(weight, x), align_channels(bias, x))


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / deviation over each channel; of the input itself, or the running ones."""
    if not use_input_stats:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, x.ndim))
    return _scale_and_shift(_standardise(x, axes, eps), align_channels(weight, x), align_channels(bias, x))


def rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """X over the root of its mean square, over the last axes."""
    axes = tuple(range(-len(shape), 0))
    if eps is None:
        eps = torch.finfo(x.dtype).eps
    return _scale_and_shift(x * ((x * x).mean(axes, keepdim=True) + eps).rsqrt(), weight, None)


def local_response_norm(x: Tensor, size: int, alpha: Number = 1e-4, beta: Number = 0.75, k: Number = 1.0) -> Tensor:
    """X over a power of its mean square in neighbouring channels."""
    squares = (x * x).unsqueeze(1).flatten(3)
    padded = F.pad(squares, (0, 0, size // 2, (size - 1) // 2))
    mean = F.avg_pool2d(padded, (size, 1), stride=1).reshape(x.shape)
    return x / (mean * alpha + k).pow(beta)


def normalize(x: Tensor, p: Number = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    """X over its norm along an axis."""
    require(p == 2, "normalize: only the Euclidean norm is written out", p, _WITHOUT_RULES)
    return x / (x * x).sum(dim, keepdim=True).sqrt().clamp_min(eps)


def cosine_similarity(x: Tensor, y: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Sum over an axis of the product of both, each over its norm."""
    return (normalize(x, dim=dim, eps=eps) * normalize(y, dim=dim, eps=eps)).sum(dim)


def lp_pool(
    x: Tensor, p: Number, size: int | tuple[int, ...], stride: Any = None, ceil_mode: bool = False, *, axes: int
) -> Tensor:
    """The p-th root of the sum of p-th powers in each window."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1]
    count = size**axes if isinstance(size, int) else math.prod(size)
    mean = pool(x.pow(p), size, stride, 0, ceil_mode)
    return (mean.clamp_min(0) * count).pow(1 / p)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """One half times the sigmoid of the other."""
    signal, gate = x.chunk(2, dim)
    return signal * gate.sigmoid()


def softmin(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """Softmax of -x."""
    return F.softmax(-x, dim, dtype=dtype)


def addmm(x: Tensor, first: Tensor, second: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """A matrix product and what is added; of constants a linear layer."""
    plain = beta == 1 and alpha == 1 and x.ndim == 1
    if plain:
        return F.linear(first, second.t(), x)
    return x * beta + torch.matmul(first, second) * alpha


def baddbmm(x: Tensor, first: Tensor, second: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """Matrix products and what is added."""
    products = torch.matmul(first, second) * alpha
    return products if beta == 0 else x * beta + products


def addcmul(x: Tensor, first: Tensor, second: Tensor, *, value: Number = 1) -> Tensor:
    """A product and what is added."""
    return x + first * second * value


def lerp(start: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """A mixture of two."""
    return start + (end - start) * weight


def var(x: Tensor, dim: int | tuple[int, ...] | None = None, *args: Any, **kwargs: Any) -> Tensor:
    """Mean square of the distances from the mean, times n / (n - 1) unless biased."""
    unbiased = kwargs.get("unbiased", args[0] if args else True)
    keepdim = kwargs.get("keepdim", len(args) > 1 and args[1])
    correction = kwargs.get("correction", int(unbiased))
    axes = tuple(range(x.ndim)) if dim is None else dim
    # How many values make one variance: all, over the number of results.
    count = x[..., :].numel() // x.detach().sum(axes).numel()
    centred = x - x.mean(axes, keepdim=True)
    return (centred * centred).sum(axes, keepdim=keepdim) * (1 / (count - correction))


def std(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Root of the variance."""
    return var(x, *args, **kwargs).sqrt()


def norm(
    x: Tensor,
    p: Number | str | None = "fro",
    dim: int | tuple[int, ...] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
    out: None = None,
) -> Tensor:
    """Root of the sum of squares."""
    require(p in {2, "fro", None}, "norm: only the Euclidean norm is written out", p, _WITHOUT_RULES)
    axes = tuple(range(x.ndim)) if dim is None else dim
    return (x * x).sum(axes, keepdim=keepdim).sqrt()


def _larger(x: Tensor, y: Tensor) -> Tensor:
    """The larger of two, value by value."""
    return torch.stack(torch.broadcast_tensors(x, y)).amax(0)


def _smaller(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of two, value by value."""
    return torch.stack(torch.broadcast_tensors(x, y)).amin(0)


WRITTEN_OUT_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "local_response_norm": local_response_norm,
    "normalize": normalize,
    "cosine_similarity": cosine_similarity,
    **{f"lp_pool{axes}d": partial(lp_pool, axes=axes) for axes in (1, 2, 3)},
    "glu": glu,
    "softmin": softmin,
    "addmm": addmm,
    "baddbmm": baddbmm,
    "addcmul": addcmul,
    "lerp": lerp,
    "var": var,
    "std": std,
    "norm": norm,
    "maximum": _larger,
    "minimum": _smaller,
    "lstm": lstm,
    "gru": gru,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "rnn_tanh_cell": rnn_tanh_cell,
    "rnn_relu_cell": rnn_relu_cell,
}
HIDES_RELU = ("rnn_relu", "rnn_relu_cell")  # a ReLU inside, which no call shows
