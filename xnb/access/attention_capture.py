"""The attention that a model used: every softmax-weighted sum that runs, fused or written out.

Seen by torch function, not by module: our own blocks, `nn.MultiheadAttention`, `nn.TransformerEncoderLayer`,
torchvision's and others' Transformers, and attention written with `softmax` and `@`. A weighted sum written as a
product and `.sum()`, and compiled or scripted code, cannot be seen.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from xnb.access.marks import TensorTable
from xnb.check import require

# What may be done to weights between the softmax and the sum.
CARRIED = set("dropout to type_as contiguous view reshape transpose permute squeeze unsqueeze expand".split())
PRODUCTS = {"matmul", "bmm"}
ROWS = 1e-2  # rows of weights sum to 1 up to the rounding of bfloat16; what does not is no attention


@dataclass(frozen=True)
class Attention:
    """One softmax-weighted sum: `N` queries read `M` values in each of `h` heads."""

    weights: Float[Tensor, "B h N M"]
    values: Float[Tensor, "B h M d"]
    layer: str = ""

    @property
    def out(self) -> Float[Tensor, "B h N d"]:
        """What the heads hand on."""
        return torch.matmul(self.weights, self.values)


def scaled_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """`F.scaled_dot_product_attention` written out: what it returns, its weights and its values."""
    require(dropout_p == 0, "attention: dropout must be off", dropout_p, "model.eval()")
    if enable_gqa:
        key, value = (part.repeat_interleave(query.shape[-3] // part.shape[-3], -3) for part in (key, value))
    scores = torch.matmul(query, key.transpose(-2, -1)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores + additive_mask(attn_mask if attn_mask.is_floating_point() else ~attn_mask, scores)
    weights = torch.softmax(scores, -1)
    return torch.matmul(weights, value), weights, value


def additive_mask(hidden: Tensor, like: Tensor) -> Tensor:
    """Minus infinity where a mask hides a key, to be added to the scores; a mask of numbers is that already."""
    if hidden.is_floating_point():
        return hidden
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill(hidden, -torch.inf)


def multi_head_attention(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """`F.multi_head_attention_forward` written out: its output `(N, B, D)`, weights and values `(B, h, ...)`."""
    given = SimpleNamespace(**bound(args, kwargs))
    plain = given.bias_k is None and not given.add_zero_attn and given.static_k is None and given.static_v is None
    require(plain, "attention: extra keys (bias_k, add_zero_attn, static_k) cannot be captured", "extra keys")
    B, h = given.query.shape[1], given.num_heads
    parts = zip((given.query, given.key, given.value), *projections(given), strict=True)
    split = [F.linear(x, w, b).unflatten(2, (h, -1)).permute(1, 2, 0, 3) for x, w, b in parts]
    out, weights, values = scaled_dot_product(*split, masks(given, B, h, split[0]), given.dropout_p * given.training)
    return F.linear(out.permute(2, 0, 1, 3).flatten(2), given.out_proj_weight, given.out_proj_bias), weights, values


def bound(args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    found = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    found.apply_defaults()
    return found.arguments


def projections(given: SimpleNamespace) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Weights and biases of query, key and value."""
    separate = given.q_proj_weight, given.k_proj_weight, given.v_proj_weight
    weights = separate if given.use_separate_proj_weight else given.in_proj_weight.chunk(3)
    return weights, (None,) * 3 if given.in_proj_bias is None else given.in_proj_bias.chunk(3)


def masks(given: SimpleNamespace, inputs: int, heads: int, like: Tensor) -> Tensor | None:
    """Both masks as one that is added to the scores `(B, h, N, M)`; here True means hidden."""
    total = None
    if given.attn_mask is not None:
        total = additive_mask(given.attn_mask, like)
        total = total.unflatten(0, (inputs, heads)) if total.ndim == 3 else total
    if given.key_padding_mask is not None:
        padding = additive_mask(given.key_padding_mask, like)[:, None, None]
        total = padding if total is None else total + padding
    return total


WRITTEN_OUT = {"scaled_dot_product_attention": scaled_dot_product, "multi_head_attention_forward": multi_head_attention}


def write_out(name: str, args: tuple, kwargs: Mapping[str, Any]) -> tuple[Any, Tensor, Tensor]:
    """What the named function returns, computed step by step; the weights; the values."""
    out, weights, values = WRITTEN_OUT[name](*args, **kwargs)
    if name == "scaled_dot_product_attention":
        return out, weights, values
    asked = bound(args, kwargs)
    shown = weights.mean(1) if asked["average_attn_weights"] else weights
    return (out, shown if asked["need_weights"] else None), weights, values


class AttentionCapture(TorchFunctionMode):
    """Within it attention runs written out, on the graph, and is kept: in `found`, and its weights in `weights`.

    Args:
        inputs: length of the batch, to tell heads from inputs where a model folds them into one axis.
        where: names the module that is running.
    """

    def __init__(self, inputs: int | None = None, where: Callable[[], str] = lambda: "") -> None:
        super().__init__()
        self.inputs, self.where = inputs, where
        self.found: list[Attention] = []
        self.weights: dict[str, Tensor] = {}
        self.after: list[str] = []  # functions since the last attention
        self._softmax: TensorTable[bool] = TensorTable()  # what came of a softmax, and may yet be weights

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        name, kwargs = function.__name__, kwargs or {}
        if name in WRITTEN_OUT:
            return self.written_out(function, args, kwargs)
        weighting = bool(args) and self._softmax.get(args[0]) is not None
        if weighting and name in PRODUCTS and args[0].ndim in {3, 4} and sums_to_one(args[0]):
            return self.product(function, *args)
        self.after.append(name)
        result = function(*args, **kwargs)
        if name == "softmax" or (weighting and name in CARRIED):
            self._softmax.put(result, True)
        return result

    def written_out(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        out, weights, values = write_out(function.__name__, args, kwargs)
        self.keep(weights, values)
        return out

    def product(self, function: Callable, weights: Tensor, values: Tensor) -> Tensor:
        heads = self.by_head(weights)
        self.keep(heads, self.by_head(values))
        return function(heads.reshape(weights.shape), values)

    def keep(self, weights: Tensor, values: Tensor) -> None:
        weights, values = (part if part.ndim == 4 else part.unsqueeze(1) for part in (weights, values))
        self.weights[str(len(self.found))] = weights
        self.found.append(Attention(weights, values, self.where()))
        self.after.clear()

    def by_head(self, values: Tensor) -> Tensor:
        """`(B, h, N, M)`, also where one axis holds inputs times heads, or there is one head."""
        return values if values.ndim == 4 else values.reshape(self.inputs or len(values), -1, *values.shape[-2:])


def sums_to_one(weights: Tensor) -> bool:
    return bool(((weights.detach().sum(-1) - 1).abs() < ROWS).all())


class AttentionComparison(AttentionCapture):
    """The model goes on with its own attention; `errors` says how far the written-out one is from it."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[float] = []

    def written_out(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        own, ours = function(*args, **kwargs), super().written_out(function, args, kwargs)
        pair = (found[0] if isinstance(found, tuple) else found for found in (ours, own))
        self.errors.append(relative_distance(*pair))
        return own

    def product(self, function: Callable, weights: Tensor, values: Tensor) -> Tensor:
        own, ours = function(weights, values), super().product(function, weights, values)
        self.errors.append(relative_distance(ours, own))
        return own


def relative_distance(found: Tensor, expected: Tensor) -> float:
    """Largest difference, in parts of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())
