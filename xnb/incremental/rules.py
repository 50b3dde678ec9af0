"""How crops move through the operations of convolutional networks."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from xnb.incremental.crops import Crops
from xnb.incremental.geometry import Layer, Span, margins, reached, seen, union
from xnb.incremental.tensor import Occluded, is_open, rule

aten = torch.ops.aten


@rule(torch.Tag.pointwise)
def pointwise(func: Callable, *args: object, **options: object) -> object:
    """Each pixel by itself: on the base and on the crops, which are first brought to the same place."""
    if torch.Tag.nondeterministic_seeded in func.tags or not all(map(fits, args)) or any(map(is_tensor, options.values())):
        return NotImplemented
    if func._schema.is_mutable:
        return in_place(func, *args, **options)
    many = [arg.crops for arg in args if isinstance(arg, Occluded)]
    if len({crops.base.shape[2:] for crops in many}) > 1:
        return NotImplemented
    rows, columns = meeting(many)
    base = many[0].tape.once(func, *(arg.crops.base if isinstance(arg, Occluded) else arg for arg in args), **options)
    patch = func(*(arg.crops.cut(rows, columns) if isinstance(arg, Occluded) else arg for arg in args), **options)
    return Occluded(Crops(many[0].tape, base, patch, rows, columns))


def fits(x: object) -> bool:
    """Whether `x` is the same for all pixels and pictures, or a batch of crops."""
    if isinstance(x, Occluded) or not isinstance(x, Tensor):
        return is_open(x) or not isinstance(x, Tensor)
    return x.ndim <= 4 and set(x.shape[-2:]) <= {1} and (x.ndim < 4 or len(x) == 1)


def is_tensor(x: object) -> bool:
    return isinstance(x, Tensor)


def in_place(func: Callable, x: object, *args: object, **options: object) -> object:
    """By way of the operation that does not write; whoever else holds the base keeps it."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    twin = getattr(getattr(aten, name, None), func._overloadname, None)
    found = pointwise(twin, x, *args, **options) if twin and isinstance(x, Occluded) else NotImplemented
    if found is NotImplemented or (found.shape, found.dtype) != (x.shape, x.dtype):
        return NotImplemented
    vars(x.crops).update(vars(found.crops))
    return x


def meeting(many: list[Crops]) -> tuple[Span, Span]:
    """The smallest crops that hold all the given ones."""
    H, W = many[0].base.shape[2:]
    if len({(crops.rows, crops.columns) for crops in many}) == 1:
        return many[0].rows, many[0].columns
    return union([crops.rows for crops in many], H), union([crops.columns for crops in many], W)


@rule(aten.cat.default)
def cat(func: Callable, tensors: list[Tensor], axis: int = 0) -> object:
    many = [x.crops for x in tensors if is_open(x)]
    if len(many) < len(tensors) or axis % 4 != 1 or len({crops.base.shape[2:] for crops in many}) > 1:
        return NotImplemented
    rows, columns = meeting(many)
    base = many[0].tape.once(func, [crops.base for crops in many], 1)
    return Occluded(Crops(many[0].tape, base, func([crops.cut(rows, columns) for crops in many], 1), rows, columns))


@rule(aten.convolution.default)
def convolution(
    func: Callable, x: Tensor, weight: Tensor, bias: Tensor | None, *args: object
) -> object:
    stride, padding, dilation, transposed, *rest = args
    if not is_open(x) or transposed or any(isinstance(w, Occluded) for w in (weight, bias)):
        return NotImplemented
    layers = [Layer(*numbers) for numbers in zip(weight.shape[2:], stride, padding, dilation, strict=True)]
    bare = (weight, bias, stride, [0, 0], dilation, transposed, *rest)
    return Occluded(slide(func, x.crops, layers, 0.0, (weight, bias, *args), bare)[0])


@rule(aten.max_pool2d_with_indices.default)
def max_pool(
    func: Callable, x: Tensor, kernel: list, stride: list = (), padding: list = (0,), dilation: list = (1,), *ceil: bool
) -> object:
    if not is_open(x):
        return NotImplemented
    kernel, stride, padding, dilation = map(pair, (kernel, stride or kernel, padding, dilation))
    layers = [Layer(*numbers) for numbers in zip(kernel, stride, padding, dilation, strict=True)]
    args, bare = (kernel, stride, padding, dilation, *ceil), (kernel, stride, [0, 0], dilation, False)
    found, indices = slide(func, x.crops, layers, -torch.inf, args, bare)
    before = replace(x.crops)
    return Occluded(found), Occluded(replace(indices, later=lambda: func(before.whole(), *args)[1]))


@rule(aten.avg_pool2d.default)
def avg_pool(
    func: Callable,
    x: Tensor,
    kernel: list,
    stride: list = (),
    padding: list = (0,),
    ceil: bool = False,
    padding_counts: bool = True,
    divisor: int | None = None,
) -> object:
    kernel, stride, padding = map(pair, (kernel, stride or kernel, padding))
    if not is_open(x) or ceil or (any(padding) and not padding_counts):  # the divisor changes at the border
        return NotImplemented
    layers = [Layer(*numbers, 1) for numbers in zip(kernel, stride, padding, strict=True)]
    args, bare = (kernel, stride, padding, False, True, divisor), (kernel, stride, [0, 0], False, True, divisor)
    return Occluded(slide(func, x.crops, layers, 0.0, args, bare)[0])


def slide(func: Callable, crops: Crops, layers: list[Layer], padding: float, args: tuple, bare: tuple) -> list[Crops]:
    """A kernel that slides over the picture; `bare` are its arguments where the padding is cut out already."""
    bases = listed(crops.tape.once(func, crops.base, *args))
    before, after = crops.base.shape[2:], bases[0].shape[2:]
    spans = [reached(*both) for both in zip((crops.rows, crops.columns), layers, after, strict=True)]
    if crops.full:
        patches = func(crops.patch, *args)
        spans = [span.whole(length) for span, length in zip(spans, after, strict=True)]
    else:
        top, left = map(margins, layers, before, after)
        patches = func(crops.cut(*map(seen, spans, layers), left + top, padding), *bare)
    return [Crops(crops.tape, base, patch, *spans) for base, patch in zip(bases, listed(patches), strict=True)]


def listed(found: object) -> list:
    return [found] if isinstance(found, Tensor) else list(found)


def pair(numbers: list) -> list:
    return list(numbers) * (2 // len(numbers))


@rule(
    aten.native_batch_norm.default,
    aten._native_batch_norm_legit_no_training.default,
    aten.cudnn_batch_norm.default,
)
def batch_norm(func: Callable, x: Tensor, *args: object) -> object:
    training = func is not aten._native_batch_norm_legit_no_training.default and args[4]
    if not is_open(x) or training:
        return NotImplemented
    base, patch = x.crops.tape.once(func, x.crops.base, *args)[0], func(x.crops.patch, *args)
    return Occluded(replace(x.crops, base=base, patch=patch[0])), *patch[1:]


@rule(aten.constant_pad_nd.default)
def pad(func: Callable, x: Tensor, widths: list[int], value: float = 0) -> object:
    if not is_open(x) or len(widths) > 4 or min(widths) < 0:
        return NotImplemented
    base = x.crops.tape.once(func, x.crops.base, widths, value)
    left, top = widths[0], widths[2] if len(widths) > 2 else 0
    crops = replace(x.crops, base=base, rows=x.crops.rows.moved(top), columns=x.crops.columns.moved(left))
    return Occluded(crops)


@rule(aten.clone.default, aten._to_copy.default)
def copy(func: Callable, x: Tensor, *, memory_format: object = None, **options: object) -> object:
    if not is_open(x):
        return NotImplemented
    base = x.crops.tape.once(func, x.crops.base, memory_format=memory_format, **options)
    return Occluded(replace(x.crops, base=base, patch=func(x.crops.patch, **options)))


@rule(aten.detach.default, aten.alias.default)
def same(func: Callable, x: Tensor) -> Tensor:
    return Occluded(x.crops) if is_open(x) else NotImplemented


@rule(aten.mean.dim)
def mean(func: Callable, x: Tensor, axes: list[int], *args: object, **options: object) -> object:
    """Over a picture: the order in memory does not matter, so the crops need not be brought to it."""
    if not is_open(x) or {axis % 4 for axis in axes} != {2, 3}:
        return NotImplemented
    return func(x.crops.whole(), axes, *args, **options)
