"""Where a change is felt: intervals along one axis of a picture, and how a layer moves them on."""

from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution or a pooling, along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int = 1

    @property
    def sight(self) -> int:
        """Pixels from the first to the last that one output sees, both included."""
        return self.dilation * (self.kernel - 1) + 1


class Span(NamedTuple):
    """An interval for each window, all of one size, along one axis."""

    starts: tuple[int, ...]
    size: int

    def moved(self, by: int) -> "Span":
        return Span(tuple(start + by for start in self.starts), self.size)

    def whole(self, length: int) -> "Span":
        return Span((0,) * len(self.starts), length)


def covering(firsts: list[int], lasts: list[int], length: int) -> Span:
    """The smallest spans inside `length` that hold each [first, last]; near the border they are moved inwards."""
    size = max(1, *(last - first + 1 for first, last in zip(firsts, lasts, strict=True)))
    return Span(tuple(max(0, min(first, length - size)) for first in firsts), size)


def union(spans: list[Span], length: int) -> Span:
    """The smallest spans that hold all the given ones."""
    firsts = map(min, zip(*[span.starts for span in spans], strict=True))
    lasts = map(max, zip(*[span.moved(span.size - 1).starts for span in spans], strict=True))
    return covering(list(firsts), list(lasts), length)


def reached(span: Span, layer: Layer, length: int) -> Span:
    """Outputs, of `length`, that see a pixel of the span: from ceil((a + p - sight + 1) / s) to floor((b + p) / s)."""
    before = layer.sight - 1 - layer.padding
    firsts = [max(0, -((before - start) // layer.stride)) for start in span.starts]
    lasts = [min(length - 1, (start + span.size - 1 + layer.padding) // layer.stride) for start in span.starts]
    return covering(firsts, lasts, length)


def seen(span: Span, layer: Layer) -> Span:
    """Pixels that the outputs of the span see, those of the padding included."""
    starts = tuple(start * layer.stride - layer.padding for start in span.starts)
    return Span(starts, (span.size - 1) * layer.stride + layer.sight)


def margins(layer: Layer, length: int, outputs: int) -> tuple[int, int]:
    """Pixels that the layer sees before and after a picture of `length`."""
    return layer.padding, max(0, (outputs - 1) * layer.stride - layer.padding + layer.sight - length)


def groups(starts: list[int], last: int, size: int) -> list[list[int]]:
    """Indices of the windows in even groups of at most `size`, by distance to the border.

    A window near the border reaches less of the next layers, at either border alike; those in a group share a size.
    """
    order = sorted(range(len(starts)), key=lambda i: min(starts[i], last - starts[i]))
    count = -(-len(order) // size)
    return [order[i * len(order) // count : (i + 1) * len(order) // count] for i in range(count)]
