"""The attention that a model used: every softmax-weighted sum that runs, fused or written out.

It is captured by torch function, not by module: our own blocks, `nn.MultiheadAttention`, `nn.TransformerEncoderLayer`,
torchvision's and others' Transformers, and attention written with `softmax` and `@`. A weighted sum written as a
product and `.sum()`, and compiled or scripted code, cannot be captured.
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
_PRODUCTS = {"matmul", "bmm"}
_SUM_TOLERANCE = 1e-2  # rows of weights sum to 1 up to the rounding of bfloat16; what does not is no attention


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


def _scaled_dot_product(
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
    if enable_gqa:  # several heads of queries read the same head of keys and values
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = torch.matmul(query, key.transpose(-2, -1)) * scale
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        # in this function True means that a query may read a key, in the one below that it may not
        hidden = attn_mask if attn_mask.is_floating_point() else ~attn_mask
        scores = scores + _additive_mask(hidden, scores)
    weights = torch.softmax(scores, -1)
    return torch.matmul(weights, value), weights, value


def _additive_mask(hidden: Tensor, like: Tensor) -> Tensor:
    """Minus infinity where a mask hides a key, to be added to the scores; a mask of numbers is that already."""
    if hidden.is_floating_point():
        return hidden
    zeros = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
    return zeros.masked_fill(hidden, -torch.inf)


def _multi_head_attention(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """`F.multi_head_attention_forward` written out: its output `(N, B, D)`, weights and values `(B, h, ...)`."""
    call = SimpleNamespace(**_bind_attention_arguments(args, kwargs))
    static = call.static_k is not None or call.static_v is not None
    extra_keys = call.bias_k is not None or call.add_zero_attn or static
    rule = "attention: extra keys (bias_k, add_zero_attn, static_k) cannot be captured"
    require(not extra_keys, rule, "extra keys")
    weights, biases = _input_projections(call)
    projected = []
    for x, weight, bias in zip((call.query, call.key, call.value), weights, biases, strict=True):
        # torch's axes are (N, B, D) here, those of an attention (B, h, N, d)
        heads = F.linear(x, weight, bias).unflatten(2, (call.num_heads, -1))
        projected.append(heads.permute(1, 2, 0, 3))
    mask = _combine_masks(call, projected[0])
    query, key, value = projected
    dropout = call.dropout_p * call.training
    out, attention, values = _scaled_dot_product(query, key, value, mask, dropout)
    joined_heads = out.permute(2, 0, 1, 3).flatten(2)
    return F.linear(joined_heads, call.out_proj_weight, call.out_proj_bias), attention, values


def _bind_attention_arguments(args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `F.multi_head_attention_forward` by name, with its defaults."""
    arguments = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    arguments.apply_defaults()
    return arguments.arguments


def _input_projections(call: SimpleNamespace) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Weights and biases of query, key and value."""
    if call.use_separate_proj_weight:
        weights = (call.q_proj_weight, call.k_proj_weight, call.v_proj_weight)
    else:
        weights = call.in_proj_weight.chunk(3)
    biases = (None,) * 3 if call.in_proj_bias is None else call.in_proj_bias.chunk(3)
    return weights, biases


def _combine_masks(call: SimpleNamespace, query: Float[Tensor, "B h N d"]) -> Tensor | None:
    """Both masks as one that is added to the scores `(B, h, N, M)`; here True means hidden."""
    B, h = query.shape[:2]
    total = None
    if call.attn_mask is not None:
        total = _additive_mask(call.attn_mask, query)
        if total.ndim == 3:  # (B h, N, M)
            total = total.unflatten(0, (B, h))
    if call.key_padding_mask is not None:
        padding = _additive_mask(call.key_padding_mask, query)[:, None, None]
        total = padding if total is None else total + padding
    return total


WRITTEN_OUT = {
    "scaled_dot_product_attention": _scaled_dot_product,
    "multi_head_attention_forward": _multi_head_attention,
}


def write_out(name: str, args: tuple, kwargs: Mapping[str, Any]) -> tuple[Any, Tensor, Tensor]:
    """What the named function returns, computed step by step; the weights; the values."""
    out, weights, values = WRITTEN_OUT[name](*args, **kwargs)
    if name == "scaled_dot_product_attention":
        return out, weights, values
    arguments = _bind_attention_arguments(args, kwargs)
    if not arguments["need_weights"]:
        return (out, None), weights, values
    shown = weights.mean(1) if arguments["average_attn_weights"] else weights
    return (out, shown), weights, values


class AttentionCapture(TorchFunctionMode):
    """Within it attention runs written out, on the graph, and is kept.

    Attributes:
        attentions: what ran so far, in order.
        weights: their weights, by number, as `score.chunk_gradient` takes what is captured.
        functions_after: names of the functions that ran since the last attention.
    """

    def __init__(self, inputs: int | None = None, layer_name: Callable[[], str] = lambda: "") -> None:
        """Start empty.

        Args:
            inputs: length of the batch, to tell heads from inputs where a model folds them into one axis.
            layer_name: names the module that is running.
        """
        super().__init__()
        self.inputs = inputs
        self.layer_name = layer_name
        self.attentions: list[Attention] = []
        self.weights: dict[str, Tensor] = {}
        self.functions_after: list[str] = []
        self._softmax: TensorTable[bool] = TensorTable()  # what came of a softmax, and may yet be weights

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        name = function.__name__
        kwargs = kwargs or {}
        if name in WRITTEN_OUT:
            return self.run_fused(function, args, kwargs)
        # attention written with `softmax` and `@` shows only at the product: until then weights are followed
        from_softmax = bool(args) and self._softmax.get(args[0]) is not None
        if from_softmax and name in _PRODUCTS and args[0].ndim in {3, 4} and _rows_sum_to_one(args[0]):
            return self.run_product(function, *args)
        self.functions_after.append(name)
        result = function(*args, **kwargs)
        if name == "softmax" or (from_softmax and name in CARRIED):
            self._softmax.put(result, True)
        return result

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused function, written out."""
        out, weights, values = write_out(function.__name__, args, kwargs)
        self.keep(weights, values)
        return out

    def run_product(self, function: Callable, weights: Tensor, values: Tensor) -> Tensor:
        """A product of weights and values, by way of the weights that are kept: gradients arrive there."""
        by_head = self.split_heads(weights)
        self.keep(by_head, self.split_heads(values))
        return function(by_head.reshape(weights.shape), values)

    def keep(self, weights: Tensor, values: Tensor) -> None:
        """Add one attention; without an axis of heads it has one head."""
        if weights.ndim != 4:
            weights = weights.unsqueeze(1)
        if values.ndim != 4:
            values = values.unsqueeze(1)
        self.weights[str(len(self.attentions))] = weights
        self.attentions.append(Attention(weights, values, self.layer_name()))
        self.functions_after.clear()

    def split_heads(self, values: Tensor) -> Tensor:
        """`(B, h, N, M)`, also where one axis holds inputs times heads, or there is one head."""
        if values.ndim == 4:
            return values
        return values.reshape(self.inputs or len(values), -1, *values.shape[-2:])


def _rows_sum_to_one(weights: Tensor) -> bool:
    excess = weights.detach().sum(-1) - 1
    return bool((excess.abs() < _SUM_TOLERANCE).all())


class AttentionComparison(AttentionCapture):
    """The model goes on with its own attention; `errors` says how far the written-out one is from it."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[float] = []

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused function as the model calls it, beside the same written out."""
        own = function(*args, **kwargs)
        written_out = super().run_fused(function, args, kwargs)
        if isinstance(own, tuple):  # (output, weights)
            self.errors.append(relative_distance(written_out[0], own[0]))
        else:
            self.errors.append(relative_distance(written_out, own))
        return own

    def run_product(self, function: Callable, weights: Tensor, values: Tensor) -> Tensor:
        """A product as the model calls it, beside the same with the weights that are kept."""
        own = function(weights, values)
        self.errors.append(relative_distance(super().run_product(function, weights, values), own))
        return own


def relative_distance(values: Tensor, expected: Tensor) -> float:
    """Largest difference, in parts of the largest expected value."""
    return float((values - expected).abs().max() / expected.abs().max())
