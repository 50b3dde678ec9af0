"""What each function of torch does to the axes of its tensors, and what it shows about them."""

import re
from collections.abc import Callable
from functools import cache

import torch

from xnb.access.layout.axes import (
    ASTRAY,
    CHANNEL,
    PLACE,
    Axis,
    kind_of,
    make_axes,
    make_axis,
    mark_axis,
    resize_axis,
    unite_axes,
)
from xnb.access.layout.axis_moves import (
    PRIMES,
    Call,
    disorder_values,
    join_tensors,
    move_axes,
    regroup,
    resize_places,
    roll_values,
    spread_values,
    stack_tensors,
    take_index,
    take_part,
)

Rule = Callable[[Call], list[Axis]]


def follow_axes(name: str, call: Call) -> list[Axis]:
    """The axes of what a function returned."""
    return _look_up_rule(name)(call)


@cache
def _look_up_rule(name: str) -> Rule:
    return _RULES.get(name) or _RULES.get(_strip_form(name), spread_values)


def _strip_form(name: str) -> str:
    """`conv` of `conv2d`, `max_pool` of `max_pool2d_with_indices`, `transpose` of `transpose_`."""
    return re.sub(r"(\dd)?(_with_indices)?_?$", "", name)


def _reduce(call: Call) -> list[Axis]:
    """Some axes are summed up. Two or three at once are places: a mean of channels and places is none of either."""
    axes = call.axes
    # Torch itself says which axes stay: each axis of the trial has a length of its own.
    trial = torch.empty(PRIMES[: call.first.ndim], device="meta")
    dims = call.knob(1, "dim", call.kwargs.get("axis"))
    keep = bool(call.knob(2, "keepdim", False))
    if dims is None:
        return make_axes(call.out.shape)
    left = [PRIMES.index(size) for size in trial.sum(dims).shape]
    gone = [i for i in range(1, len(axes)) if i not in left]
    if len(gone) > 1 or (gone and not keep and len(axes) == 3):
        for i in gone:
            mark_axis(axes[i], PLACE)
    if keep:
        return [axis if i in left else () for i, axis in enumerate(axes)]
    return [axes[i] for i in left]


def _normalise_last(call: Call) -> list[Axis]:
    """Norms over the last axis, which is then that of channels; over several axes, they show nothing."""
    axes = call.axes
    sizes = call.knob(1, "normalized_shape", (0,))
    if len(sizes) == 1:
        mark_axis(axes[-1], CHANNEL)
    return axes


def _normalise_second(call: Call) -> list[Axis]:
    """Norms of channels, which are the second axis."""
    axes = call.axes
    if len(axes) > 1:
        mark_axis(axes[1], CHANNEL)
    return axes


def _mix_axis(axis: Axis, size: int) -> Axis:
    """A linear map along one axis: of channels, unless the axis is known to be one of places."""
    if kind_of(axis) == PLACE:
        return make_axis(size, PLACE, ASTRAY)
    mark_axis(axis, CHANNEL)
    return make_axis(size, CHANNEL)


def _map_last(call: Call) -> list[Axis]:
    """A linear map of the last axis."""
    axes = call.axes
    return [*axes[:-1], _mix_axis(axes[-1], call.out.shape[-1])]


def _convolve(call: Call) -> list[Axis]:
    """Channels are the second axis and places follow, but for kernels of size 1, which are linear maps."""
    axes = call.axes
    weight = call.knob(1, "weight")
    spatial = weight.ndim - 2
    places = axes[-spatial:]
    # A kernel of size 1 is a linear map of channels, and says nothing on what the other axes are.
    if weight.shape[2:].numel() > 1:
        for axis in places:
            mark_axis(axis, PLACE)
    channels, *sizes = call.out.shape[-spatial - 1 :]
    mixed = _mix_axis(axes[-spatial - 1], channels)
    moved = [resize_axis(axis, size) for axis, size in zip(places, sizes, strict=True)]
    return [*axes[: -spatial - 1], mixed, *moved]


def _pool(call: Call) -> list[Axis]:
    """Poolings: channels are the second axis, and places follow, each a coarser form of what it was."""
    axes = call.axes
    if len(axes) > 2:
        mark_axis(axes[1], CHANNEL)
        for axis in axes[2:]:
            mark_axis(axis, PLACE)
    return [resize_axis(axis, size) for axis, size in zip(axes, call.out.shape, strict=True)]


def _shuffle_pixels(call: Call) -> list[Axis]:
    """Channels become places, or places channels: the places are finer or coarser ones of the same axes."""
    axes = call.axes
    mark_axis(axes[1], CHANNEL)
    places = []
    for axis, size in zip(axes[2:], call.out.shape[2:], strict=True):
        mark_axis(axis, PLACE)
        places.append(resize_axis(axis, size))
    return [axes[0], make_axis(call.out.shape[1], CHANNEL), *places]


def _multiply(call: Call) -> list[Axis]:
    """Matrices: the last axis of the first meets the last but one of the second; a matrix of weights maps an axis."""
    first, second = call.tensors[-2:]
    of_first, of_second = call.axes_in[-2:]
    rows, columns = call.axes_at(-2), call.axes_at(-1)
    leading = (rows if first.ndim >= second.ndim else columns)[:-2]
    row, column = rows[-2], columns[-1]
    # A factor that does not come from the input is a matrix of weights.
    if of_second is None:
        column = _mix_axis(rows[-1], call.out.shape[-1])
    elif of_first is None:
        row = _mix_axis(columns[-2], call.out.shape[-2])
    return [*leading, row, column]


def _follow_letters(call: Call) -> list[Axis]:
    """The axes of `einsum`, which names each by a letter; without `->` it stays unknown."""
    inputs, _, output = str(call.args[0]).replace(" ", "").partition("->")
    known: dict[str, Axis] = {}
    for letters, axes in zip(inputs.split(","), call.axes_in, strict=True):
        if axes is None:  # weights, which show nothing
            continue
        for letter, axis in zip(letters, axes, strict=True):
            known[letter] = unite_axes(axis, known[letter]) if letter in known else axis
    return [known.get(letter) or make_axis(size) for letter, size in zip(output, call.out.shape, strict=True)]


def _attend(call: Call) -> list[Axis]:
    """Queries answer with values: as many as there are queries, each as long as a value."""
    query, value = call.axes_at(0), call.axes_at(2)
    return [*query[:-1], value[-1]]


def _attend_with_weights(call: Call) -> list[Axis]:
    """`nn.MultiheadAttention` in one call: an output shaped as its queries, and weights, of which nothing is known."""
    axes = call.axes
    mark_axis(axes[-1], CHANNEL)
    if call.out.shape != call.first.shape:
        return make_axes(call.out.shape)
    return axes


def _recur(call: Call) -> list[Axis]:
    """A recurrent layer: its sequence of states; of its last states nothing is known."""
    axes = call.axes
    mark_axis(axes[-1], CHANNEL)
    if call.out.shape[:-1] != call.first.shape[:-1]:
        return make_axes(call.out.shape)
    return [*axes[:-1], make_axis(call.out.shape[-1], CHANNEL)]


_RULES_OF: dict[Rule, str] = {
    move_axes: "permute transpose swapaxes swapdims movedim moveaxis t adjoint T mT H mH",
    regroup: "view reshape flatten unflatten ravel squeeze unsqueeze view_as reshape_as _unsafe_view",
    _reduce: "mean sum amax amin nanmean std var logsumexp prod",
    _normalise_last: "layer_norm rms_norm",
    _normalise_second: "batch_norm group_norm instance_norm local_response_norm",
    _map_last: "linear",
    _convolve: "conv conv_transpose",
    _pool: "max_pool avg_pool lp_pool adaptive_max_pool adaptive_avg_pool fractional_max_pool",
    resize_places: "interpolate upsample pad constant_pad_nd",
    _shuffle_pixels: "pixel_shuffle pixel_unshuffle",
    roll_values: "roll",
    disorder_values: "flip fliplr flipud index_select gather sort take_along_dim grid_sample rot90",
    join_tensors: "cat concat concatenate",
    stack_tensors: "stack",
    take_part: "chunk split split_with_sizes tensor_split unbind",
    take_index: "__getitem__",
    _multiply: "matmul bmm __matmul__ mm",
    _follow_letters: "einsum",
    _attend: "scaled_dot_product_attention",
    _attend_with_weights: "multi_head_attention_forward _native_multi_head_attention",
    _recur: "lstm gru rnn_tanh rnn_relu",
}
_RULES = {name: rule for rule, names in _RULES_OF.items() for name in names.split()}

# Functions that keep the number of axes and treat each row by itself: rows stay whose they are.
_BY_ROW = frozenset(
    """
    conv conv_transpose linear batch_norm group_norm instance_norm layer_norm rms_norm local_response_norm
    max_pool avg_pool lp_pool adaptive_max_pool adaptive_avg_pool interpolate pad constant_pad_nd pixel_shuffle
    relu relu6 leaky_relu prelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid sigmoid tanh softplus
    add sub mul div clamp clamp_min clamp_max clone contiguous detach dropout alpha_dropout feature_dropout cat concat
    """.split()
)


@cache
def runs_by_row(name: str) -> bool:
    """Whether a function is known to treat each row by itself, with as many axes behind it as before."""
    return _strip_form(name) in _BY_ROW
