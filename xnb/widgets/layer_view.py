"""A network, layer by layer: choose a row of its table and see what is behind it."""

from collections.abc import Iterator, Sequence

import ipywidgets as W
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from xnb import summary
from xnb.check import require
from xnb.data import Part, Split
from xnb.types import Model
from xnb.widgets import anatomy, markup, static
from xnb.widgets.explained import Subject, subject
from xnb.widgets.explore_state import Look, Question, original
from xnb.widgets.panel import AUTOMATIC, Panel, choice, chosen, slider


def layers(
    model: Model, data: Split | Part | Tensor, *, classes: Sequence[str] | None = None, layer: str | None = None
) -> "Layers":
    """Walk through a network: each row of its parameter table with its filters, its maps and how far it sees.

    Args:
        data: the test part of a split, a part, or pictures alone.
        classes: their names; those of the split if omitted.
        layer: which is shown first.

    Raises:
        ValueError: the inputs are no pictures, or there is no such layer.
    """
    return Layers(subject(model, data, classes), layer)


class Layers(Panel):
    """See `layers`."""

    def __init__(self, subject: Subject, layer: str | None) -> None:
        require(subject.x.ndim == 4, "layers: inputs must be pictures (B, C, H, W)", subject.x, "explore(model, x)")
        table = summary.layers(subject.model, subject.input(0))
        self.subject, self.table = subject, table[~table["name"].duplicated() & (table["name"] != "(model)")]
        names = list(self.table["name"])
        first = layer or names[0]
        require(first in names, "layers: no row of that name", first, f"one of {names[:5]}")
        options = [(line(row), row["name"]) for _, row in self.table.iterrows()]
        classes = [("what the model says", AUTOMATIC), *((name, k) for k, name in enumerate(subject.classes))]
        controls = {
            "picture": slider(W.IntSlider, "picture", 0, 0, len(subject.x) - 1),
            "target": choice("class", classes, AUTOMATIC),
            "row": slider(W.IntSlider, "row", names.index(first), 0, len(names) - 1),
            "layer": W.Select(options=options, value=first, rows=16, description="layer"),
        }
        W.link((controls["row"], "value"), (controls["layer"], "index"))  # notebooks take arrow keys from a list
        controls["layer"].style.description_width, controls["layer"].layout.width = "36px", "99%"
        super().__init__(controls, ("facts", "filters", "maps", "field", "says"))
        self.refresh()

    @property
    def layer(self) -> str:
        return self.controls["layer"].value

    @property
    def row(self) -> int:
        return self.controls["picture"].value

    @property
    def target(self) -> int:
        given = chosen(self.controls["target"])
        return int(self.subject.said(self.row).argmax()) if given is None else given

    @property
    def picture(self) -> NDArray[np.uint8]:
        """What the layer returns, as it is shown."""
        return anatomy.maps(anatomy.output(self.subject, self.row, self.layer))

    def draw(self) -> Iterator[tuple[str, str]]:
        values = anatomy.output(self.subject, self.row, self.layer)
        yield "facts", markup.table(self.layer, self.facts())
        weights = anatomy.filters(self.subject.model, self.layer)
        shown = min(values.shape[0], anatomy.MOST)
        what = f"what {self.layer} returns for input {self.row}, shape {tuple(values.shape)}, signed"
        yield "maps", markup.image(anatomy.maps(values), what, f"returns: {shown} of {values.shape[0]} channels")
        yield "filters", "" if weights is None else markup.image(weights, f"weights of {self.layer}", "weights")
        spatial = values.ndim == 3 and values.shape[1] * values.shape[2] > 1
        yield "field", self.field(values) if spatial else ""
        yield "says", self.says() if spatial else ""

    def facts(self) -> dict[str, str]:
        row = self.table.set_index("name").loc[self.layer]
        numbers = {name: f"{row[name]:,}" for name in ("parameters", "multiply_adds", "activations")}
        return {"kind": row["kind"], "input": size(row["input"]), "output": size(row["output"]), **numbers}

    def field(self, values: Tensor) -> str:
        """What the strongest place sees, or why that is not known."""
        try:
            rows, columns = anatomy.sees(self.subject, self.layer)
        except ValueError as refusal:
            return markup.message(str(refusal))
        rgb = anatomy.field(self.subject, self.row, values, (rows, columns))
        caption = f"the strongest place sees {rows} × {columns} pixels"
        return markup.image(rgb, f"input {self.row}, outlined: {caption}", caption)

    def says(self) -> str:
        name = self.subject.classes[self.target]
        rgb = anatomy.says(self.subject, self.row, self.layer, self.target)
        return markup.image(rgb, f"layer_cam at {self.layer} for {name}", f"layer_cam here for {name}")

    def words(self) -> str:
        return f"layers: {self.layer}, input {self.row}. Run the cell to move it."

    def still(self) -> Figure:
        values = anatomy.output(self.subject, self.row, self.layer)
        weights = anatomy.filters(self.subject.model, self.layer)
        shown = [("weights", weights)] if weights is not None else []
        shown += [("returns", anatomy.maps(values))]
        fig, axes = static.figure(len(shown) + 1)
        static.shown(original(self.subject, Question(self.row), Look(outline=False)), axes[0], f"input {self.row}")
        for ax, (title, rgb) in zip(axes[1:], shown, strict=True):
            static.shown(rgb, ax, f"{self.layer}: {title}")
        return fig


def line(row: pd.Series) -> str:
    """A row of the table in one line."""
    count = f" · {row['parameters']:,}" if row["parameters"] else ""
    return f"{row['name']} · {row['kind']}{count}"


def size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:])) or "–"
