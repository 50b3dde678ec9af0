"""What torch functions do to the values of a signal, by name, so that methods with rules share one list a kind.

Names are those that a torch function mode sees, without the underscore of an in-place form.
"""

from collections.abc import Callable
from typing import Any

# They move, repeat or drop values, or put constants beside them: their own gradient moves back what is handed back.
MOVES = frozenset(
    "view view_as reshape reshape_as flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t T "
    "mT H mH adjoint contiguous squeeze unsqueeze expand expand_as broadcast_to broadcast_tensors repeat tile "
    "repeat_interleave __getitem__ narrow select index_select gather take take_along_dim masked_select diagonal "
    "chunk split split_with_sizes tensor_split hsplit vsplit dsplit unbind cat concat concatenate stack hstack vstack "
    "dstack column_stack row_stack clone pad constant_pad_nd flip fliplr flipud roll rot90 tril triu where masked_fill "
    "pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle unfold identity requires_grad_ "
    "dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout "
    "to type type_as float double half bfloat16 cpu cuda".split()
)

# What they return does not change with the signal, or changes in jumps: as for the gradient, it is a constant.
CONSTANTS = frozenset(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like full_like empty_like rand_like randn_like "
    "gt lt ge le eq ne greater greater_equal less less_equal not_equal isnan isinf isfinite isclose signbit sign sgn "
    "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not any all round floor ceil trunc "
    "floor_divide argmax argmin argsort nonzero bucketize searchsorted detach data bool byte short int long".split()
)

# One value in, one value out, each for itself.
ACTIVATIONS = tuple(
    "relu relu6 hardtanh leaky_relu elu celu selu sigmoid tanh softplus silu gelu hardswish hardsigmoid mish prelu "
    "rrelu softsign threshold logsigmoid tanhshrink softshrink hardshrink clamp clamp_min clamp_max".split()
)
ELEMENTWISE = (
    *ACTIVATIONS,
    *"erf exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal square pow __rpow__ __rdiv__".split(),
    *"abs sin cos nan_to_num".split(),
)

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
AFFINE = (*CONVOLUTIONS, *TRANSPOSED, "linear")  # with (input, weight, bias) as their first arguments

# Linear in their first argument, up to a constant; all others are constants.
LINEAR_MAPS = tuple(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum cumsum diff "
    "interpolate upsample upsample_nearest upsample_bilinear grid_sample fold".split()
)
SUMS = ("add", "sub", "rsub")
PRODUCTS = ("mul", "div")
MATRIX_PRODUCTS = ("matmul", "bmm", "mm", "mv", "dot", "inner", "outer", "tensordot", "einsum")
POOLING_MAXIMA = tuple(f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3))
AXIS_MAXIMA = ("max", "amax", "min", "amin")

_ALIASES = {
    "__rsub__": "rsub",
    "__rtruediv__": "__rdiv__",
    "absolute": "abs",
    "clip": "clamp",
    "divide": "div",
    "multiply": "mul",
    "log_sigmoid": "logsigmoid",
    "negative": "neg",
    "subtract": "sub",
    "true_divide": "div",
}
_FIRST_NAMES = ("input", "tensors", "self")
_SECOND_NAMES = ("other", "mat2", "exponent", "vec2")


def name_function(function: Callable) -> str:
    """The name by which rules know a function; of a property of tensors, the property's."""
    name = function.__name__
    if name == "__get__":
        return getattr(getattr(function, "__self__", None), "__name__", name)
    return _ALIASES.get(name, name)


def order_arguments(args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """The same arguments with the first two, where they came by name, in their places."""
    for place, names in enumerate((_FIRST_NAMES, _SECOND_NAMES)):
        named = [name for name in names if name in kwargs]
        if named and len(args) == place:
            args = (*args, kwargs[named[0]])
            kwargs = {name: value for name, value in kwargs.items() if name != named[0]}
    return args, kwargs
