"""A picture whose squares can be clicked, in plain ipywidgets: transparent buttons lie over it."""

from collections.abc import Callable

import ipywidgets as W


class ClickablePicture(W.VBox):
    """A picture under a grid of transparent buttons.

    The buttons are left out of the order of the tabulator; for the keyboard, sliders do the same.

    Args:
        rows: of the grid.
        columns: of the grid.
        size: height and width of the picture in pixels.
        on_press: called with row and column of the square that is clicked.
        verb: what a click does, for the tooltips.

    Attributes:
        html: where the picture is put.
        squares: the buttons, row by row.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        size: tuple[int, int],
        on_press: Callable[[int, int], None],
        verb: str,
    ) -> None:
        self.columns = columns
        self.html = W.HTML(layout=W.Layout(margin="0"))
        self.squares = _make_squares(rows, columns, on_press, verb)
        layout = _overlay_layout(rows, columns, size)
        overlay = W.GridBox(self.squares, layout=layout)
        super().__init__([self.html, overlay], layout=W.Layout(overflow="hidden"))


def _make_squares(
    rows: int,
    columns: int,
    on_press: Callable[[int, int], None],
    verb: str,
) -> list[W.Button]:
    """Make transparent buttons, row by row."""
    # All share one style and one layout: with their own, the page would have to make three objects for each.
    style = W.ButtonStyle(button_color="transparent")
    layout = W.Layout(width="auto", height="auto", margin="0", padding="0")
    squares = []
    for k in range(rows * columns):
        row, column = divmod(k, columns)
        tooltip = f"{verb} row {row + 1}, column {column + 1}"
        square = W.Button(tooltip=tooltip, tabbable=False, style=style, layout=layout)
        square.on_click(lambda _, row=row, column=column: on_press(row, column))
        squares.append(square)
    return squares


def _overlay_layout(rows: int, columns: int, size: tuple[int, int]) -> W.Layout:
    """Layout of the grid: as large as the picture, and moved up over it by a negative margin."""
    height, width = size
    return W.Layout(
        width=f"{width}px",
        height=f"{height}px",
        margin=f"-{height}px 0 0 0",
        grid_gap="0",
        overflow="hidden",
        grid_template_rows=f"repeat({rows}, 1fr)",
        grid_template_columns=f"repeat({columns}, 1fr)",
    )
