"""The functions of torch that compute attention in one piece, written out step by step: so that weights exist."""

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from xnb.check import require


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
    require(
        dropout_p == 0,
        "attention: dropout must be off",
        dropout_p,
        "dropout_p=0.0 where the model calls it, in evaluation",
    )
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
    require(not extra_keys, rule, "extra keys", "xnb.attribute(model, x, target, 'integrated_gradients')")
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
