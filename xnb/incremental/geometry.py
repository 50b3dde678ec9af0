"""Where a change can be felt: intervals along one axis of a picture, and how a layer moves them on."""

from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution or pooling along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def reach(self) -> int:
        """From the first to one past the last pixel that one output sees."""
        return self.dilation * (self.kernel - 1) + 1


class Span(NamedTuple):
    """One interval for each window, all of the same size, along one axis."""

    starts: tuple[int, ...]
    size: int

    def moved(self, by: int) -> "Span":
        return Span(tuple(start + by for start in self.starts), self.size)

    def whole(self, length: int) -> "Span":
        return Span((0,) * len(self.starts), length)


# A crop of nearly the whole axis is widened to the whole: from there on nothing has to be gathered.

NEARLY_ALL = 1


def covering(bounds: list[tuple[int, int]], length: int) -> Span:
    """The smallest equal spans inside `length` that hold each [first, last]."""
    size = max(max(last - first + 1 for first, last in bounds), 1)
    size = length if size > NEARLY_ALL * length else size
    return Span(tuple(max(0, min(first, length - size)) for first, _ in bounds), size)


def reached(span: Span, layer: Layer, length: int) -> Span:
    """Outputs, of `length`, that see any pixel of the span."""
    bounds = [
        (
            max(0, -((layer.reach - 1 - layer.padding - start) // layer.stride)),
            min(length - 1, (start + span.size - 1 + layer.padding) // layer.stride),
        )
        for start in span.starts
    ]
    return covering(bounds, length)


def seen(span: Span, layer: Layer) -> Span:
    """Pixels that the outputs of the span see; those outside of the picture are padding."""
    starts = tuple(start * layer.stride - layer.padding for start in span.starts)
    return Span(starts, (span.size - 1) * layer.stride + layer.reach)


def union(spans: list[Span], length: int) -> Span:
    """The smallest equal spans that hold all the given ones."""
    firsts = map(min, zip(*[span.starts for span in spans], strict=True))
    lasts = map(max, zip(*[span.moved(span.size - 1).starts for span in spans], strict=True))
    return covering(list(zip(firsts, lasts, strict=True)), length)


def margins(layer: Layer, length: int, outputs: int) -> tuple[int, int]:
    """Pixels that the layer sees before and after a picture of `length`."""
    return layer.padding, max(0, (outputs - 1) * layer.stride - layer.padding + layer.reach - length)
