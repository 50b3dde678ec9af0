"""A network, layer by layer: select a row of its table and see what is behind it."""

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as W
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from xnb import summary
from xnb.check import require
from xnb.types import Model
from xnb.widgets import anatomy, markup, static
from xnb.widgets.explained import Data, Subject, prepare_subject
from xnb.widgets.explore_state import Look, Question
from xnb.widgets.map_pictures import draw_input
from xnb.widgets.panel import Panel, make_class_dropdown, make_input_slider, make_slider, selected_value
from xnb.widgets.pixels import Pixels


def layers(
    model: Model,
    data: Data,
    *,
    classes: Sequence[str] | None = None,
    layer: str | None = None,
) -> "_LayerPanel":
    """Walk through a network: each row of its parameter table with its filters, its channels and how far it sees.

    Args:
        data: the test part of a split, a part, or pictures alone.
        classes: their names; those of the split if omitted.
        layer: which is shown first.

    Raises:
        ValueError: the inputs are no pictures, or there is no such layer.
    """
    return _LayerPanel(prepare_subject(model, data, classes), layer)


class _LayerPanel(Panel):
    """The widget of `layers`.

    Attributes:
        table: one row a layer, without the row of the whole model.
        field_input: zeros on which it is measured how far a layer sees.
    """

    def __init__(self, subject: Subject, layer: str | None) -> None:
        hint = "xnb.widgets.explore(model, x)"
        require(subject.x.ndim == 4, "layers: inputs must be pictures (B, C, H, W)", subject.x, hint)
        self.subject = subject
        self.field_input = anatomy.choose_field_input(subject)
        self.table = _layer_table(subject)
        names = list(self.table["name"])
        first = layer or names[0]
        require(first in names, "layers: no row of that name", first, f"one of {names[:5]}")
        controls = _layer_controls(subject, self.table, first)
        super().__init__(controls, ("facts", "filters", "maps", "field", "says"))
        self.refresh()

    @property
    def layer(self) -> str:
        return self.controls["layer"].value

    @property
    def row(self) -> int:
        """Index of the input."""
        return self.controls["picture"].value

    @property
    def target(self) -> int:
        target = selected_value(self.controls["target"])
        if target is None:
            return self.subject.predicted_class(self.row)
        return target

    @property
    def picture(self) -> Pixels:
        """What the layer returns, as it is shown."""
        return anatomy.draw_channels(self.output())

    def output(self) -> anatomy.LayerOutput:
        return anatomy.layer_output(self.subject, self.row, self.layer)

    def draw(self) -> Iterator[tuple[str, str]]:
        """Yield the table and pictures that need one pass before those that need several."""
        output = self.output()
        yield "facts", markup.table_html(self.layer, self._layer_facts())
        yield "maps", self._channels_page(output)
        yield "filters", self._filters_page()
        spatial = output.are_maps and output.values[0].numel() > 1
        yield "field", self._field_page(output.values) if spatial else ""
        yield "says", self._layer_cam_page() if spatial else ""

    def _layer_facts(self) -> dict[str, str]:
        """Row of the parameter table, as text."""
        row: Any = self.table.set_index("name").loc[self.layer]
        facts = {
            "kind": row["kind"],
            "input": _format_shape(row["input"]),
            "output": _format_shape(row["output"]),
        }
        for column in ("parameters", "multiply_adds", "activations"):
            facts[column] = f"{row[column]:,}"
        return facts

    def _channels_page(self, output: anatomy.LayerOutput) -> str:
        values = output.values
        alt = f"what {self.layer} returns for input {self.row}, shape {tuple(values.shape)}, signed"
        caption = f"returns: {min(len(values), anatomy.MAX_CHANNELS)} of {len(values)} channels"
        if not output.are_maps:
            caption = f"returns: {values.numel():,} numbers, no maps of the picture"
        return markup.image_html(anatomy.draw_channels(output), alt, caption)

    def _filters_page(self) -> str:
        filters = anatomy.draw_filters(self.subject.module, self.layer)
        if filters is None:
            return ""
        return markup.image_html(filters, f"weights of {self.layer}", "weights")

    def _field_page(self, maps: Tensor) -> str:
        """What the strongest position sees, or why that is not known."""
        try:
            rows, columns = anatomy.receptive_field_size(self.subject, self.layer, self.field_input)
        except ValueError as refusal:
            return markup.message_html(str(refusal))
        rgb = anatomy.draw_receptive_field(self.subject, self.row, maps, (rows, columns))
        caption = f"the strongest place sees {rows} × {columns} pixels"
        return markup.image_html(rgb, f"input {self.row}, outlined: {caption}", caption)

    def _layer_cam_page(self) -> str:
        name = self.subject.classes[self.target]
        rgb = anatomy.draw_layer_cam(self.subject, self.row, self.layer, self.target)
        return markup.image_html(rgb, f"layer_cam at {self.layer} for {name}", f"layer_cam here for {name}")

    def describe(self) -> str:
        return f"layers: {self.layer}, input {self.row}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the input, the weights where the layer has a matrix of them, and what it returns."""
        question = Question(self.row)
        pictures = {f"input {self.row}": draw_input(self.subject, question, Look(outline=False))}
        filters = anatomy.draw_filters(self.subject.module, self.layer)
        if filters is not None:
            pictures[f"{self.layer}: weights"] = filters
        # a map without its scale says nothing of sizes
        end = float(self.output().values.abs().max())
        pictures[f"returns, blue {-end:.2g} to red {end:.2g}"] = self.picture
        fig, axes = static.new_figure(len(pictures))
        for ax, (title, rgb) in zip(axes, pictures.items(), strict=True):
            static.show_pixels(rgb, ax, title)
        return fig


def _layer_table(subject: Subject) -> pd.DataFrame:
    """Parameter table for the first input, each layer once."""
    with subject.run_input(0) as x:
        table = summary.module_table(subject.module, x)
    repeated = table["name"].duplicated()
    return table[~repeated & (table["name"] != "(model)")]


def _layer_controls(subject: Subject, table: pd.DataFrame, first: str) -> dict[str, Any]:
    """Make the controls in the order in which they stand; a slider and a list select the same row."""
    names = list(table["name"])
    options = [(_table_line(row), row["name"]) for _, row in table.iterrows()]
    selector = W.Select(options=options, value=first, rows=16, description="layer")
    selector.style.description_width = "36px"
    selector.layout.width = "99%"
    row_slider = make_slider(W.IntSlider, "row", names.index(first), 0, len(names) - 1)
    W.link((row_slider, "value"), (selector, "index"))  # the list alone gets no arrow keys: notebooks take them
    return {
        "picture": make_input_slider(len(subject.x), 0),
        "target": make_class_dropdown("class", "what the model says", subject.classes, None),
        "row": row_slider,
        "layer": selector,
    }


def _table_line(row: pd.Series) -> str:
    """Name, kind and number of parameters of a layer in one line."""
    count = f" · {row['parameters']:,}" if row["parameters"] else ""
    return f"{row['name']} · {row['kind']}{count}"


def _format_shape(shape: tuple[int, ...]) -> str:
    """Write a shape without the batch axis."""
    return " × ".join(map(str, shape[1:])) or "–"
