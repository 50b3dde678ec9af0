"""A tensor that passes for a whole batch of occluded pictures and computes what the windows reach."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from xnb.methods.incremental.crops import Crops, memory_format_of
from xnb.methods.incremental.geometry import Layer, Span, unite_spans
from xnb.methods.incremental.sliding import slide_kernel

aten = torch.ops.aten
RULES: dict[object, Callable] = {}  # an operation, or a tag of operations -> how it works on crops


class Occluded(Tensor):
    """Looks like (n, C, H, W). An operation with a rule works on the crops, any other gets the plain tensor."""

    crops: Crops
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's own subclasses

    @staticmethod
    def __new__(cls, crops: Crops) -> "Occluded":
        base = crops.base
        C, H, W = base.shape[1:]
        shape = (len(crops.patch), C, H, W)
        last = memory_format_of(base) is torch.channels_last
        per_pixel = (1, W * C, C) if last else (H * W, W, 1)
        strides = (C * H * W, *per_pixel)
        wrapper = Tensor._make_wrapper_subclass(cls, shape, strides=strides, dtype=base.dtype, device=base.device)
        wrapper.crops = crops
        return wrapper

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub is that of a static function
        cls,
        func: Callable,
        types: object,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> object:
        options = kwargs or {}
        on_crops = _find_rule(func)
        if on_crops is not None:
            result = on_crops(func, *args, **options)
            if result is not NotImplemented:
                return result
        args, options = tree_map_only(Occluded, lambda x: x.crops.write_out(), (args, options))
        return func(*args, **options)


def _find_rule(func: Any) -> Callable | None:
    """The rule of an operation, else that of one of its tags."""
    tagged = (RULES[tag] for tag in func.tags if tag in RULES)
    return RULES.get(func) or next(tagged, None)


def _rule_for(*operations: object) -> Callable[[Callable], Callable]:
    """Enter a function as the rule of these operations, or of a tag of operations. It may return NotImplemented."""

    def enter(function: Callable) -> Callable:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return enter


def _has_crops(x: object) -> TypeGuard[Occluded]:
    """Whether `x` is a batch whose crops hold its values."""
    return isinstance(x, Occluded) and x.crops.is_open


@_rule_for(torch.Tag.pointwise)
def _apply_pointwise(func: Any, *args: object, **options: object) -> object:
    """Each pixel by itself: on the base, and on crops that are first brought to the same position."""
    random = torch.Tag.nondeterministic_seeded in func.tags
    several = len(func._schema.returns) > 1
    arguments = [*args, *options.values()]
    if random or several or not all(map(_is_per_pixel, arguments)):
        return NotImplemented
    if func._schema.is_mutable:
        return _apply_in_place(func, *args, **options)
    operands = [arg.crops for arg in args if isinstance(arg, Occluded)]
    return _combine_crops(func, operands, args, options)


def _is_per_pixel(x: object) -> bool:
    """Whether `x` is a batch of crops, or the same for all pixels and pictures."""
    if isinstance(x, Occluded):
        return x.crops.is_open
    if not isinstance(x, Tensor):
        return True
    if x.ndim < 3:
        return x.numel() == 1
    one_picture = x.ndim == 3 or (x.ndim == 4 and len(x) == 1)
    one_pixel = x.shape[-2:].numel() == 1  # a number for each channel
    return one_picture and one_pixel


def _apply_in_place(func: Any, x: object, *args: object, **options: object) -> object:
    """An operation that writes to `x`, by way of its twin that writes nothing: others may hold the base."""
    name = func._schema.name.removeprefix("aten::")
    twin = getattr(getattr(aten, name.removesuffix("_"), None), func._overloadname, None)
    if not name.endswith("_") or twin is None or not isinstance(x, Occluded):  # `out=` has no twin that writes nothing
        return NotImplemented
    result = _apply_pointwise(twin, x, *args, **options)
    if result is NotImplemented or result.shape != x.shape or result.dtype != x.dtype:
        return NotImplemented
    vars(x.crops).update(vars(result.crops))  # in the same object: aliases of `x` share it and see the write
    return x


@_rule_for(aten.cat.default)
def _concatenate_channels(func: Callable, tensors: list[Tensor], axis: int = 0) -> object:
    if not all(map(_has_crops, tensors)) or axis % 4 != 1:
        return NotImplemented
    operands = [x.crops for x in tensors if isinstance(x, Occluded)]
    return _combine_crops(func, operands, (tensors, 1), {})


def _combine_crops(func: Callable, operands: list[Crops], args: tuple, options: dict) -> object:
    """An operation on several batches at once, in the smallest crops that hold the crops of all."""
    sizes = {crops.base.shape[2:] for crops in operands}
    if len(sizes) > 1:
        return NotImplemented
    H, W = sizes.pop()
    tape = operands[0].tape
    rows = _common_span([crops.rows for crops in operands], H)
    columns = _common_span([crops.columns for crops in operands], W)
    # The base first: the tape may drop its rows of pixels there, and cutting makes new ones.
    base_args = tree_map_only(Occluded, lambda x: x.crops.base, args)
    base = tape.run_once(func, *base_args, **options)
    patch_args = tree_map_only(Occluded, lambda x: x.crops.cut(rows, columns), args)
    patch = func(*patch_args, **options)
    return Occluded(Crops(tape, base, patch, rows, columns))


def _common_span(spans: list[Span], length: int) -> Span:
    """The span itself where all are the same, else the smallest one that holds all."""
    if len(set(spans)) == 1:
        return spans[0]
    return unite_spans(spans, length)


@_rule_for(aten.convolution.default)
def _convolve_crops(func: Callable, x: Tensor, weight: Tensor, bias: Tensor | None, *args: Any) -> object:
    stride, padding, dilation, transposed, *rest = args
    if not _has_crops(x) or transposed:
        return NotImplemented
    layers = list(map(Layer, weight.shape[2:], stride, padding, dilation))
    padded = (weight, bias, *args)
    bare = (weight, bias, stride, [0, 0], dilation, transposed, *rest)
    (convolved,) = slide_kernel(func, x.crops, layers, 0.0, padded, bare)
    return Occluded(convolved)


@_rule_for(aten.max_pool2d_with_indices.default)
def _pool_maxima(
    func: Callable,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
) -> object:
    if not _has_crops(x):
        return NotImplemented
    kernel, stride, padding, dilation = map(_per_axis, (kernel, stride or kernel, padding, dilation))
    layers = list(map(Layer, kernel, stride, padding, dilation))
    padded = (kernel, stride, padding, dilation, ceil)
    bare = (kernel, stride, [0, 0], dilation)
    maxima, indices = slide_kernel(func, x.crops, layers, -torch.inf, padded, bare)
    # Indices count within a picture, so those of the crops are wrong. Few models look at them: they are computed from
    # whole pictures when they do, from a copy of the crops, because a write to `x` changes its own.
    before = replace(x.crops)
    postponed = replace(indices, postponed=lambda: func(before.whole(), *padded)[1])
    return Occluded(maxima), Occluded(postponed)


@_rule_for(aten.avg_pool2d.default)
def _pool_means(
    func: Callable,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> object:
    kernel, stride, padding = map(_per_axis, (kernel, stride or kernel, padding))
    if not _has_crops(x) or ceil or (any(padding) and not count_padding):  # the divisor would change at the border
        return NotImplemented
    layers = list(map(Layer, kernel, stride, padding))
    padded = (kernel, stride, padding, False, True, divisor)
    bare = (kernel, stride, [0, 0], False, True, divisor)
    (means,) = slide_kernel(func, x.crops, layers, 0.0, padded, bare)
    return Occluded(means)


def _per_axis(numbers: Sequence[int]) -> list[int]:
    """A number for the rows and one for the columns."""
    return list(numbers) * (2 // len(numbers))


@_rule_for(
    aten.native_batch_norm.default,
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit_no_training.default,
    aten.cudnn_batch_norm.default,
    aten.miopen_batch_norm.default,
)
def _normalize_crops(func: Callable, x: Tensor, *args: object) -> object:
    """Batch norm with stored statistics is pointwise; the empty statistics that it returns beside are passed on."""
    if not _has_crops(x) or args[4] is True:
        return NotImplemented
    base = x.crops.tape.run_once(func, x.crops.base, *args)[0]
    patch, *statistics = func(x.crops.patch, *args)
    return Occluded(replace(x.crops, base=base, patch=patch)), *statistics


@_rule_for(aten.constant_pad_nd.default)
def _pad_picture(func: Callable, x: Tensor, widths: list[int], value: float = 0) -> object:
    """The crops stay, the picture grows around them."""
    if not _has_crops(x) or len(widths) > 4 or min(widths) < 0:
        return NotImplemented
    base = x.crops.tape.run_once(func, x.crops.base, widths, value)
    left, _, top, _ = [*widths, 0, 0][:4]
    rows = x.crops.rows.shift(top)
    columns = x.crops.columns.shift(left)
    return Occluded(replace(x.crops, base=base, rows=rows, columns=columns))


@_rule_for(aten.clone.default, aten._to_copy.default)
def _copy_crops(
    func: Callable, x: Tensor, *, memory_format: torch.memory_format | None = None, **options: object
) -> object:
    """Another memory format is that of the base alone; the crops keep theirs."""
    if not _has_crops(x):
        return NotImplemented
    base = x.crops.tape.run_once(func, x.crops.base, memory_format=memory_format, **options)
    patch = func(x.crops.patch, **options)
    return Occluded(replace(x.crops, base=base, patch=patch))


@_rule_for(aten.detach.default, aten.alias.default)
def _share_crops(func: Callable, x: Tensor) -> object:
    if _has_crops(x):
        return Occluded(x.crops)
    return NotImplemented


@_rule_for(aten.mean.dim)
def _average_pictures(func: Callable, x: Tensor, axes: list[int], *args: object, **options: object) -> object:
    """Over whole pictures: no need to bring the pixels into the memory format of the base."""
    if not _has_crops(x) or {axis % 4 for axis in axes} != {2, 3}:
        return NotImplemented
    return func(x.crops.whole(), axes, *args, **options)
