"""A tensor that passes for a whole batch of occluded pictures and computes what the windows reach."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from xnb.methods.incremental.crops import Crops, layout
from xnb.methods.incremental.geometry import Layer, margins, reached, seen, union

aten = torch.ops.aten
RULES: dict[object, Callable] = {}


class Occluded(Tensor):
    """Looks like (n, C, H, W). An operation with a rule works on the crops, any other gets the plain tensor."""

    crops: Crops
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, crops: Crops) -> "Occluded":
        base = crops.base
        C, H, W = base.shape[1:]
        strides = (1, W * C, C) if layout(base) is torch.channels_last else (H * W, W, 1)
        found = Tensor._make_wrapper_subclass(
            cls, (len(crops.patch), C, H, W), strides=(C * H * W, *strides), dtype=base.dtype, device=base.device
        )
        found.crops = crops
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        rule = RULES.get(func) or next((RULES[tag] for tag in func.tags if tag in RULES), None)
        found = rule(func, *args, **kwargs) if rule else NotImplemented
        if found is not NotImplemented:
            return found
        args, kwargs = tree_map_only(Occluded, lambda x: x.crops.write_out(), (args, kwargs))
        return func(*args, **kwargs)


def rule(*operations: object) -> Callable[[Callable], Callable]:
    """Enter a function as the rule of these operations, or of a tag of operations. It may answer NotImplemented."""

    def enter(function: Callable) -> Callable:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return enter


def is_open(x: object) -> bool:
    """Whether `x` is a batch whose crops are what counts."""
    return isinstance(x, Occluded) and x.crops.late is None and x.crops.plain is None


@rule(torch.Tag.pointwise)
def pointwise(func: Callable, *args: object, **options: object) -> object:
    """Each pixel by itself: on the base, and on crops that are first brought to the same place."""
    random, several = torch.Tag.nondeterministic_seeded in func.tags, len(func._schema.returns) > 1
    if random or several or not all(map(fits, [*args, *options.values()])):
        return NotImplemented
    if func._schema.is_mutable:
        return in_place(func, *args, **options)
    return joined(func, [arg.crops for arg in args if isinstance(arg, Occluded)], args, options)


def fits(x: object) -> bool:
    """Whether `x` is a batch of crops, or the same for all pixels and pictures."""
    if not isinstance(x, Tensor) or isinstance(x, Occluded):
        return not isinstance(x, Tensor) or is_open(x)
    return (x.ndim < 3 and x.numel() == 1) or (x.ndim in (3, 4) and x.shape[-2:].numel() == 1 == len(x) ** (x.ndim - 3))


def in_place(func: Callable, x: object, *args: object, **options: object) -> object:
    """By way of the operation that writes nothing: others may hold the base."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    twin = getattr(getattr(aten, name, None), func._overloadname, None)
    found = pointwise(twin, x, *args, **options) if twin and isinstance(x, Occluded) else NotImplemented
    if found is NotImplemented or (found.shape, found.dtype) != (x.shape, x.dtype):
        return NotImplemented
    vars(x.crops).update(vars(found.crops))
    return x


@rule(aten.cat.default)
def cat(func: Callable, tensors: list[Tensor], axis: int = 0) -> object:
    if not all(map(is_open, tensors)) or axis % 4 != 1:
        return NotImplemented
    return joined(func, [x.crops for x in tensors], (tensors, 1), {})


def joined(func: Callable, many: list[Crops], args: tuple, options: dict) -> object:
    """An operation on several batches at once, in the smallest crops that hold the crops of all."""
    sizes = {crops.base.shape[2:] for crops in many}
    if len(sizes) > 1:
        return NotImplemented
    H, W = sizes.pop()
    tape, rows, columns = many[0].tape, [crops.rows for crops in many], [crops.columns for crops in many]
    rows, columns = (a[0] if len(set(a)) == 1 else union(a, n) for a, n in ((rows, H), (columns, W)))
    base = tape.once(func, *tree_map_only(Occluded, lambda x: x.crops.base, args), **options)
    patch = func(*tree_map_only(Occluded, lambda x: x.crops.cut(rows, columns), args), **options)
    return Occluded(Crops(tape, base, patch, rows, columns))


@rule(aten.convolution.default)
def convolution(func: Callable, x: Tensor, weight: Tensor, bias: Tensor | None, *args: object) -> object:
    stride, padding, dilation, transposed, *rest = args
    if not is_open(x) or transposed:
        return NotImplemented
    layers = list(map(Layer, weight.shape[2:], stride, padding, dilation))
    bare = (weight, bias, stride, [0, 0], dilation, transposed, *rest)
    return Occluded(slide(func, x.crops, layers, 0.0, (weight, bias, *args), bare)[0])


@rule(aten.max_pool2d_with_indices.default)
def max_pool(
    func: Callable,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
) -> object:
    if not is_open(x):
        return NotImplemented
    kernel, stride, padding, dilation = map(pair, (kernel, stride or kernel, padding, dilation))
    args, bare = (kernel, stride, padding, dilation, ceil), (kernel, stride, [0, 0], dilation)
    found, indices = slide(func, x.crops, list(map(Layer, *args[:4])), -torch.inf, args, bare)
    before = replace(x.crops)
    return Occluded(found), Occluded(replace(indices, late=lambda: func(before.whole(), *args)[1]))


@rule(aten.avg_pool2d.default)
def average_pool(
    func: Callable,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> object:
    kernel, stride, padding = map(pair, (kernel, stride or kernel, padding))
    if not is_open(x) or ceil or (any(padding) and not count_padding):  # the divisor would change at the border
        return NotImplemented
    args, bare = (kernel, stride, padding, False, True, divisor), (kernel, stride, [0, 0], False, True, divisor)
    return Occluded(slide(func, x.crops, list(map(Layer, *args[:3])), 0.0, args, bare)[0])


def pair(numbers: Sequence[int]) -> list[int]:
    return list(numbers) * (2 // len(numbers))


def slide(func: Callable, crops: Crops, layers: list[Layer], padding: float, args: tuple, bare: tuple) -> list[Crops]:
    """A kernel slides over the picture; `bare` are its arguments where the padding has been cut out with the crop."""
    bases = listed(crops.tape.once(func, crops.base, *args))
    before, after = crops.base.shape[2:], bases[0].shape[2:]
    if crops.full:
        spans = crops.rows.whole(after[0]), crops.columns.whole(after[1])
        patches = func(crops.patch, *args)
    else:
        spans = tuple(map(reached, (crops.rows, crops.columns), layers, after))
        top, left = map(margins, layers, before, after)
        patches = func(crops.cut(*map(seen, spans, layers), left + top, padding), *bare)
    return [Crops(crops.tape, base, patch, *spans) for base, patch in zip(bases, listed(patches), strict=True)]


def listed(found: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


@rule(
    aten.native_batch_norm.default,
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit_no_training.default,
    aten.cudnn_batch_norm.default,
    aten.miopen_batch_norm.default,
)
def batch_norm(func: Callable, x: Tensor, *args: object) -> object:
    """With given statistics it is pointwise; the empty statistics that it returns beside are passed on."""
    if not is_open(x) or args[4] is True:
        return NotImplemented
    base, patch = x.crops.tape.once(func, x.crops.base, *args)[0], func(x.crops.patch, *args)
    return Occluded(replace(x.crops, base=base, patch=patch[0])), *patch[1:]


@rule(aten.constant_pad_nd.default)
def pad(func: Callable, x: Tensor, widths: list[int], value: float = 0) -> object:
    """The crops stay, the picture grows around them."""
    if not is_open(x) or len(widths) > 4 or min(widths) < 0:
        return NotImplemented
    base = x.crops.tape.once(func, x.crops.base, widths, value)
    left, _, top, _ = [*widths, 0, 0][:4]
    return Occluded(replace(x.crops, base=base, rows=x.crops.rows.moved(top), columns=x.crops.columns.moved(left)))


@rule(aten.clone.default, aten._to_copy.default)
def copy(func: Callable, x: Tensor, *, memory_format: torch.memory_format | None = None, **options: object) -> object:
    """Another memory format is that of the base alone; the crops keep theirs."""
    if not is_open(x):
        return NotImplemented
    base = x.crops.tape.once(func, x.crops.base, memory_format=memory_format, **options)
    return Occluded(replace(x.crops, base=base, patch=func(x.crops.patch, **options)))


@rule(aten.detach.default, aten.alias.default)
def same(func: Callable, x: Tensor) -> object:
    return Occluded(x.crops) if is_open(x) else NotImplemented


@rule(aten.mean.dim)
def mean(func: Callable, x: Tensor, axes: list[int], *args: object, **options: object) -> object:
    """Over whole pictures: no need to bring the pixels into the memory format of the base."""
    if not is_open(x) or {axis % 4 for axis in axes} != {2, 3}:
        return NotImplemented
    return func(x.crops.whole(), axes, *args, **options)
