"""A table of numbers whose rows can be clicked: each shows the maps that its numbers are about."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from xnb.check import require
from xnb.data import Part
from xnb.types import Attribution
from xnb.widgets import markup, pixels, static
from xnb.widgets.colours import to_picture
from xnb.widgets.panel import Panel, make_list
from xnb.widgets.pixels import Pixels

_MOST_PICTURES = 6  # side by side in the width of a page
_TILE = (96, 96)


def rows(
    table: pd.DataFrame,
    maps: Mapping[str, Attribution],
    data: Part,
) -> "_RowsPanel":
    """Click a row of a table and see the maps that its numbers are about: what wins need not convince.

    Channels are added up, and each map has a scale of its own: red speaks for the class, blue against it. Evidence is
    outlined where it is known. At most six pictures are shown.

    Args:
        table: a row a method, as `xnb.comparison.ranks` returns, or means by method and metric.
        maps: of these pictures, by the names of the rows.
        data: the pictures that were explained.

    Raises:
        ValueError: a row has no maps.
    """
    missing = [name for name in table.index if name not in maps]
    require(not missing, "rows: each row of the table needs its maps", missing, f"table = table.drop({missing})")
    return _RowsPanel(table, maps, data)


class _RowsPanel(Panel):
    """The widget of `rows`."""

    def __init__(
        self,
        table: pd.DataFrame,
        maps: Mapping[str, Attribution],
        data: Part,
    ) -> None:
        self.table = table
        self.maps = maps
        self.part = data[:_MOST_PICTURES]
        first = str(table.columns[0])
        options = [(f"{name} · {value:.2f}", name) for name, value in table[first].items()]
        super().__init__({"row": make_list(first, options, table.index[0])})
        self.refresh()

    @property
    def picture(self) -> Pixels:
        """The pictures, and below them the maps of the chosen row."""
        return draw_maps_below(self.part, self.maps[self.controls["row"].value])

    def draw(self) -> Iterator[tuple[str, str]]:
        name = self.controls["row"].value
        numbers = self.table.loc[name]
        facts = {str(metric): f"{value:.2f}" for metric, value in numbers.items()}
        alt = f"{len(self.part)} pictures, and below each its map by {name}"
        image = markup.image_html(self.picture, alt)
        yield "view", markup.column_html(image, markup.table_html(name, facts))

    def describe(self) -> str:
        return f"rows: {self.controls['row'].value}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the maps of the chosen row, and its first number above them."""
        name = self.controls["row"].value
        fig, axes = static.new_figure(1, 8.0, 2.9)
        first = self.table.columns[0]
        value = self.table.loc[name, first]
        static.show_pixels(self.picture, axes[0], f"{name}: {first} {value:.2f}")
        return fig


def draw_maps_below(part: Part, maps: Attribution) -> Pixels:
    """Draw the pictures side by side and their maps below, the evidence outlined."""
    pictures = [pixels.to_rgb(to_picture(x)) for x in part.x]
    above = [pixels.resize_nearest(picture, _TILE) for picture in pictures]
    below = [_colour_map(a.sum(0)) for a in maps[: len(part)]]
    tiles = above + below
    if part.masks is not None:
        masks = [mask[0] for mask in part.masks] * 2
        tiles = [pixels.draw_outline(tile, mask) for tile, mask in zip(tiles, masks, strict=True)]
    return pixels.montage(np.stack(tiles), len(part))


def _colour_map(heat: Float[Tensor, "H W"]) -> Pixels:
    end = float(heat.abs().max())
    return pixels.resize_nearest(pixels.signed_colours(heat, end), _TILE)
