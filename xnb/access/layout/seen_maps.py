"""What layers return in a pass that somebody runs, as maps `(B, D, *places)` where that is seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from xnb.access.hooks import capture_outputs
from xnb.access.layout.axis_watch import AxisWatch
from xnb.access.layout.map_layout import Maps, Unreadable, find_places, read_layout


@dataclass(frozen=True, eq=False)
class SeenOutputs:
    """Outputs of layers, and what the functions of the pass showed of their axes.

    Attributes:
        outputs: what each layer returned, its first tensor, on the graph.
    """

    outputs: dict[str, Tensor]
    watch: AxisWatch

    def find_maps(self, layer: str) -> Maps | None:
        """What a layer returned as maps; None where it is none, or its channels and places cannot be told apart."""
        arrange = self.find_arrangement(layer)
        return None if arrange is None else arrange(self.outputs[layer])

    def find_arrangement(self, layer: str) -> Callable[[Tensor], Maps] | None:
        """What makes maps of an output of the layer; None as in `find_maps`."""
        output = self.outputs.get(layer)
        if not isinstance(output, Tensor) or output.ndim < 3:
            return None
        axes = self.watch.read_axes(output)
        places = find_places(axes.input)
        if not places:
            return None
        layout = read_layout(layer, output, axes, places)
        return None if isinstance(layout, Unreadable) else layout.arrange


@contextmanager
def see_outputs(model: nn.Module, x: Tensor, *layers: str) -> Iterator[SeenOutputs]:
    """Yield the outputs of layers, filled in by one pass of `x`, the very tensor, within the block.

    Raises:
        ValueError: no such layer.
    """
    watch = AxisWatch()
    watch.start(x)
    with capture_outputs(model, *layers) as outputs, watch:
        yield SeenOutputs(outputs, watch)
