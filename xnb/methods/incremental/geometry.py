"""Where a change is felt: windows on a picture, intervals along one of its axes, and how a layer moves them on."""

from itertools import pairwise
from typing import NamedTuple


class Windows(NamedTuple):
    """Blocks of places, one for each choice of a first place along every axis.

    Attributes:
        starts: along each axis, the first places of the windows.
        sizes: along each axis, how many places a window covers.
        axes: those axes of the input; of a picture the last two.
    """

    starts: tuple[list[int], ...]
    sizes: tuple[int, ...]
    axes: tuple[int, ...] = (2, 3)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        return tuple(map(len, self.starts))

    def select(self, *positions: list[int]) -> "Windows":
        """The windows at these positions along each axis."""
        pairs = zip(self.starts, positions, strict=True)
        starts = tuple([along[i] for i in numbers] for along, numbers in pairs)
        return Windows(starts, self.sizes, self.axes)


class Layer(NamedTuple):
    """A convolution or a pooling, along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int = 1

    @property
    def extent(self) -> int:
        """Pixels from the first to the last that one output sees, both included."""
        return self.dilation * (self.kernel - 1) + 1


class Span(NamedTuple):
    """An interval for each window, all of one size, along one axis."""

    starts: tuple[int, ...]
    size: int

    def shift(self, by: int) -> "Span":
        """The intervals moved by so many pixels."""
        starts = tuple(start + by for start in self.starts)
        return Span(starts, self.size)

    def widen(self, length: int) -> "Span":
        """As many intervals, each the whole axis."""
        starts = (0,) * len(self.starts)
        return Span(starts, length)


def _fit_span(firsts: list[int], lasts: list[int], length: int) -> Span:
    """The smallest span inside `length` that holds each [first, last]; near the border it is moved inwards."""
    size = 1
    for first, last in zip(firsts, lasts, strict=True):
        size = max(size, last - first + 1)
    last_start = length - size
    starts = [max(0, min(first, last_start)) for first in firsts]
    return Span(tuple(starts), size)


def unite_spans(spans: list[Span], length: int) -> Span:
    """The smallest span inside `length` that holds all of these."""
    firsts = []
    lasts = []
    for window in range(len(spans[0].starts)):
        starts = [span.starts[window] for span in spans]
        ends = [span.starts[window] + span.size for span in spans]
        firsts.append(min(starts))
        lasts.append(max(ends) - 1)
    return _fit_span(firsts, lasts, length)


def output_span(span: Span, layer: Layer, length: int) -> Span:
    """Outputs, of `length`, that see a pixel of the span.

    Output `o` sees the pixels from `o * stride - padding` to `o * stride - padding + extent - 1`. It meets the
    interval [first, last] from `o = ceil((first + padding - extent + 1) / stride)` on, up to
    `o = floor((last + padding) / stride)`.
    """
    firsts = []
    lasts = []
    for first in span.starts:
        last = first + span.size - 1
        before = first + layer.padding - layer.extent + 1
        first_output = -(-before // layer.stride)  # rounded up
        last_output = (last + layer.padding) // layer.stride
        firsts.append(max(0, first_output))
        lasts.append(min(length - 1, last_output))
    return _fit_span(firsts, lasts, length)


def input_span(span: Span, layer: Layer) -> Span:
    """Pixels that the outputs of the span see, those of the padding included."""
    starts = tuple(start * layer.stride - layer.padding for start in span.starts)
    steps = (span.size - 1) * layer.stride
    return Span(starts, steps + layer.extent)


def margins(layer: Layer, length: int, outputs: int) -> tuple[int, int]:
    """Pixels that the layer sees before and behind a picture of `length`."""
    last_start = (outputs - 1) * layer.stride - layer.padding
    end = last_start + layer.extent
    return layer.padding, max(0, end - length)


def group_windows(starts: list[int], last: int, size: int) -> list[list[int]]:
    """Indices of the windows in even groups of at most `size`, by distance to the border.

    A window near the border reaches less of the next layers, at either border alike; those in a group share a size.
    """
    distances = [min(start, last - start) for start in starts]
    order = sorted(range(len(starts)), key=distances.__getitem__)
    count = -(-len(order) // size)
    borders = [i * len(order) // count for i in range(count + 1)]
    return [order[start:end] for start, end in pairwise(borders)]
