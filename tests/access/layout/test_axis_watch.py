"""What functions show of axes, on tensors of which only the input's batch axis is known before.

Tests: xnb.access.layout.axis_moves, xnb.access.layout.axis_rules.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xnb.access.layout.axes import kind_of
from xnb.access.layout.axis_watch import AxisWatch, watch_axes


def watch(f, *shape):
    """For each axis of `f(x)`: b(atch), c(hannel), the number of the input's axis along which places lie, or ?"""
    seen = AxisWatch()
    x = seen.start(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad(), seen:
        out = f(x)
    out = out[0] if isinstance(out, tuple) else out
    return "".join(describe(axis) for axis in seen.read_axes(out).layer)


def describe(axis):
    if not axis:
        return "1"
    if kind_of(axis) != "place":
        return (kind_of(axis) or "?")[0]
    origins = [factor.role.origin for factor in axis]
    return "*".join("?" if origin in (None, -1) else str(origin) for origin in origins)


def weight(*sizes):
    return torch.ones(sizes)


def convolve(x):
    return F.conv2d(x, weight(7, x.shape[1], 3, 3), padding=1)


FOLLOWED = {
    "convolution": (convolve, "bc23"),
    "pooling": (lambda x: F.max_pool2d(x, 2), "bc23"),
    "mean": (lambda x: convolve(x).mean((2, 3)), "bc"),
    "mean kept": (lambda x: convolve(x).mean((2, 3), keepdim=True), "bc11"),
    "channels last": (lambda x: convolve(x).permute(0, 2, 3, 1), "b23c"),
    "moved": (lambda x: convolve(x).movedim(1, -1), "b23c"),
    "transposed": (lambda x: convolve(x).mT, "bc32"),
    "transposed before": (lambda x: convolve(x.transpose(2, 3)), "bc32"),
    "tokens": (lambda x: convolve(x).flatten(2).transpose(1, 2), "b2*3c"),
    "tokens and back": (lambda x: convolve(x).flatten(2).mT.unflatten(1, (6, 8)), "b23c"),
    "linear": (lambda x: F.linear(convolve(x).permute(0, 2, 3, 1), weight(9, 7)), "b23c"),
    "linear over places": (lambda x: F.linear(convolve(x), weight(9, 8)), "bc2?"),
    "1x1 over tokens": (lambda x: F.conv1d(convolve(x).flatten(2).mT, weight(9, 48, 1)), "b?c"),
    "broadcast gate": (lambda x: convolve(x) * convolve(x).mean((2, 3), keepdim=True).sigmoid(), "bc23"),
    "joined channels": (lambda x: torch.cat([convolve(x), convolve(x)], 1), "bc23"),
    "chunk of channels": (lambda x: convolve(F.pad(x, (0, 0, 0, 0, 0, 1))).chunk(7, 1)[0] + convolve(x), "bc23"),
    "first half of channels": (lambda x: torch.cat([convolve(x)] * 2, 1).chunk(2, 1), "bc23"),
    "half of the rows": (lambda x: convolve(x).chunk(2, 2), "bc?3"),
    "interpolated": (lambda x: F.interpolate(convolve(x), scale_factor=2), "bc23"),
    "pixel shuffle": (lambda x: F.pixel_shuffle(F.conv2d(x, weight(8, 3, 3, 3)), 2), "bc23"),
    "flipped": (lambda x: convolve(x).flip(3), "bc2?"),
    "rolled": (lambda x: convolve(x).roll((1, 2), (2, 3)), "bc??"),
    "rolled back": (lambda x: convolve(x).roll((1, 2), (2, 3)).roll((-1, -2), (2, 3)), "bc23"),
    "indexed by a bool": (lambda x: convolve(x)[True, 0, 0, 0, 0], "1"),
    "indexed by a list": (lambda x: convolve(x)[:, :, [0, 1, 2]], "????"),
    "einsum": (lambda x: torch.einsum("bchw,cd->bhwd", convolve(x), weight(7, 5)), "b23?"),
    "matrix product": (lambda x: convolve(x).permute(0, 2, 3, 1) @ weight(7, 5), "b23c"),
    "weights first": (lambda x: weight(5, 7) @ convolve(x).flatten(2), "bc2*3"),
    "in place": (lambda x: convolve(x).relu_().add_(1), "bc23"),
    "transposed in place": (lambda x: convolve(x).transpose_(2, 3), "bc32"),
    "unsqueezed in place": (lambda x: convolve(x).unsqueeze_(1), "b1c23"),
    "unsqueezed": (lambda x: convolve(x)[:, None], "b1c23"),
    "input by its name": (lambda x: torch.permute(input=convolve(x), dims=(0, 2, 3, 1)), "b23c"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_picture(name):
    f, expected = FOLLOWED[name]
    assert watch(f, 2, 3, 6, 8) == expected


SEQUENCES = {
    "linear": (lambda x: F.linear(x, weight(7, 5)), "b?c"),
    "layer norm": (lambda x: F.layer_norm(x, (5,)), "b?c"),
    "mean over the sequence": (lambda x: F.linear(x, weight(7, 5)) + 0 * x.mean(1)[:, None, :1], "b1c"),
    "lstm": (nn.LSTM(5, 7, batch_first=True), "b?c"),
    "scores": (lambda x: F.layer_norm(x, (5,)) @ x.mT, "b??"),
    "fused attention": (lambda x: F.scaled_dot_product_attention(*[F.layer_norm(x, (5,))] * 3), "b?c"),
    "time first": (lambda x: F.layer_norm(x.transpose(0, 1), (5,)), "?bc"),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence(name):
    f, expected = SEQUENCES[name]
    assert watch(f, 4, 4, 5) == expected


def test_attention_module():
    attention = nn.MultiheadAttention(5, 1, batch_first=True).eval()
    assert watch(lambda x: attention(x, x, x), 2, 4, 5) == "b?c"


def test_only_the_first_pass_is_watched():
    seen = AxisWatch()
    described = []
    for _ in range(2):
        x = seen.start(torch.ones(1, 3, 6, 8))
        with torch.no_grad(), seen:
            out = convolve(x)
        described.append("".join(map(describe, seen.read_axes(out).layer)))
    assert described == ["1c23", "1???"]


def write(x):
    x = convolve(x)
    x[0] = 1
    return x


BY_ROW = {
    "convolution": (lambda x: F.relu(convolve(x)), True),
    "residual in place": (lambda x: convolve(x).relu_().add_(convolve(x)), True),
    "pooled": (lambda x: F.max_pool2d(convolve(x), 2), True),
    "transposed and back": (lambda x: convolve(x).transpose(0, 1).transpose(0, 1), False),
    "flipped": (lambda x: convolve(x).flip(0), False),
    "sum of all": (lambda x: convolve(x) + x.sum(), False),
    "reshaped": (lambda x: convolve(x).reshape(x.shape[0], 7, 6, 8), False),
    "written into": (write, False),
}


@pytest.mark.parametrize("name", BY_ROW)
def test_rows_that_are_treated_by_themselves(name):
    """Only then does one input show what is true of many: what is not known to keep rows apart counts as mixing."""
    f, expected = BY_ROW[name]
    seen = AxisWatch()
    x = seen.start(torch.ones(1, 3, 6, 8))
    with torch.no_grad(), seen:
        out = f(x)
    assert seen.read_axes(out).by_row == expected


def test_axes_that_are_known_are_not_watched():
    seen = AxisWatch()
    x = seen.start(torch.ones(1, 3, 6, 8))
    with torch.no_grad(), seen:
        known = seen.read_axes(convolve(x))
    again = watch_axes(known)
    x = again.start(torch.ones(4, 3, 6, 8))
    with torch.no_grad(), again:
        out = convolve(x)
    assert "".join(map(describe, again.read_axes(out).layer)) == "1c23"
    assert "".join(map(describe, again.read_axes(out[:, :, :, 1:]).layer)) == "????"
