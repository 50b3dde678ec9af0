"""The layer whose maps are looked at: a name, a module of the model, or the last layer that has maps."""

from collections import Counter
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xnb.access.functions.call_places import uncompile_around
from xnb.access.hooks import capture_outputs, find_module, forward_hooks, modules_by_name
from xnb.access.layout.axes import axis_size
from xnb.access.layout.axis_watch import AxisWatch, SeenAxes
from xnb.access.layout.map_layout import MapLayout, Unreadable, find_places, read_layout
from xnb.access.memo import answer_once
from xnb.access.model_call import chunk_logits
from xnb.access.rows import select_rows
from xnb.access.score import chunk_gradient
from xnb.access.way_out import suggest_method
from xnb.check import refuse, require
from xnb.types import Batch

LayerLike = str | nn.Module | None


def find_layer(model: nn.Module, x: Batch, layer: LayerLike = None) -> str:
    """Name of a layer.

    Args:
        layer: its name; the module itself; or None for the last with maps, found by a pass of one input.

    Raises:
        ValueError: the model has no such module, or, with None, none whose output is known to be maps.
    """
    name, _ = find_layer_and_axes(model, x, layer)
    return name


def find_layer_and_axes(model: nn.Module, x: Batch, layer: LayerLike = None) -> tuple[str, SeenAxes | None]:
    """As `find_layer`, and what the axes of the layer stand for, where the pass that found it tells for every batch."""
    if layer is None:
        return answer_once(("last layer with maps", model, tuple(x.shape[1:])), lambda: _last_layer_with_maps(model, x))
    if isinstance(layer, str):
        find_module(model, layer)
        return layer, None
    names = [name for name, module in modules_by_name(model).items() if module is layer]
    rule = "layer: must be a module of the model, or its name"
    require(bool(names), rule, type(layer).__name__, "layer=None  # the last that has maps")
    return names[0], None


def suggest_layer(model: nn.Module, x: Batch) -> str:
    """The line of a refusal that leads on: the layer that has maps, or what needs none."""
    try:
        return f"layer={find_layer(model, x)!r}  # the last that has maps"
    except ValueError:
        return _suggest_without_layer(model, x)


def _suggest_without_layer(model: nn.Module, x: Batch) -> str:
    """The line that leads to a method without layers."""
    return suggest_method(model, x, "gradient", "needs no layer")


class _Output(NamedTuple):
    """What a module returned for one input."""

    name: str
    module: nn.Module
    axes: SeenAxes

    @property
    def is_half(self) -> bool:
        """Whether it may be half a thought, as the queries of an attention: of a module alone that is no norm."""
        return not any(True for _ in self.module.children()) and "norm" not in type(self.module).__name__.lower()


def _last_layer_with_maps(model: nn.Module, x: Batch) -> tuple[str, SeenAxes | None]:
    """The module that is the last to return maps of more than one place, and its axes; runs `x[:1]`.

    Where several return the same tensor, a block and its last module, it is the outermost. Modules that are called
    more than once are passed over. Of tokens beside which others stand, as a class token, it is the last from which
    the score reads the tokens that are places: behind the last attention it reads the class token alone.

    Raises:
        ValueError: there is none.
    """
    outputs, logits = _watch_outputs(model, x)
    # Lazily, from the last: most models are read at their first candidate.
    from_last = ((output.name, _read_maps(output)) for output in reversed(outputs))
    with_maps = ((name, layout) for name, layout in from_last if layout is not None)
    last, layout = next(with_maps, ("", None))
    if layout is None:
        hint = uncompile_around(model, "") or _suggest_without_layer(model, x)
        refuse("layer: no module of the model is known to return maps", type(model).__name__, hint)
    if not layout.part:
        axes = next(output.axes for output in outputs if output.name == last)
        return last, axes if axes.by_row else None
    layouts = {last: layout, **dict(with_maps)}
    in_order = dict(reversed(layouts.items()))
    return _last_read(model, x, logits.argmax(1), in_order), None


def _watch_outputs(model: nn.Module, x: Batch) -> tuple[list[_Output], Tensor]:
    """What modules return for the first input, in the order in which they finish, and the logits.

    Of those that are called once, and return a tensor that comes from the input and has more than two axes.
    """
    outputs: list[_Output] = []
    calls: Counter[str] = Counter({"": 1})  # the model itself is no layer of its own
    watch = AxisWatch()

    def keep(name: str, module: nn.Module, args: tuple, out: object) -> None:
        calls[name] += 1
        # Not `out.ndim`: that would be watched, too, which costs as much as a small layer.
        axes = watch.find_axes(out)
        if isinstance(out, Tensor) and axes is not None and len(axes) > 2:
            outputs.append(_Output(name, module, watch.read_axes(out)))

    hooks = [(module, partial(keep, name)) for name, module in modules_by_name(model).items()]
    # of no inputs, one made up tells as much
    inputs = watch.start(x[:1].detach().clone() if len(x) else x.new_zeros(1, *x.shape[1:]))
    with torch.no_grad(), forward_hooks(hooks), select_rows(slice(1), max(1, len(x))), watch:
        logits = chunk_logits(model, inputs)
    return [output for output in outputs if calls[output.name] == 1], logits


def _read_maps(output: _Output) -> MapLayout | None:
    """The layout of an output that is maps of more than one place."""
    places = find_places(output.axes.input)
    if not 1 <= len(places) <= 3:
        return None
    without_data = torch.empty([axis_size(axis) for axis in output.axes.layer], device="meta")
    layout = read_layout(output.name, without_data, output.axes, places)
    if isinstance(layout, Unreadable) or layout.channel_axes > 1 or (layout.part and output.is_half):
        return None
    maps = layout.arrange(without_data)
    return layout if maps.shape[2:].numel() > 1 else None


def _last_read(model: nn.Module, x: Batch, target: Tensor, layouts: dict[str, MapLayout]) -> str:
    """The last layer at whose places the score of one input has a gradient."""
    with capture_outputs(model, *layouts) as captured, select_rows(slice(1), len(x)):
        found = chunk_gradient(model, x[:1], target, captured)
    gradients = dict(zip(captured, found.at_captured, strict=True))
    read = [name for name in gradients if _is_read(layouts[name], gradients[name])]
    return (read or list(layouts))[-1]  # a head of zeros, as before any training, reads nothing anywhere


def _is_read(layout: MapLayout, gradient: Tensor | None) -> bool:
    return gradient is not None and bool(layout.arrange(gradient).any())
