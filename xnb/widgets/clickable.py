"""A picture whose squares can be clicked, in plain ipywidgets: clear buttons lie over it."""

from collections.abc import Callable

import ipywidgets as W


class Board(W.VBox):
    """`page` shows the picture, `press(row, column)` is called when a square of it is clicked.

    The buttons are left out of the tabulator's way; who uses the keyboard has sliders for the same.
    """

    def __init__(
        self, rows: int, columns: int, size: tuple[int, int], press: Callable[[int, int], None], what: str
    ) -> None:
        self.columns = columns
        self.page = W.HTML(layout=W.Layout(margin="0"))
        height, width = (f"{side}px" for side in size)
        clear = {"style": W.ButtonStyle(button_color="transparent"), "layout": W.Layout(width="auto", height="auto")}
        clear["layout"].margin = clear["layout"].padding = "0"
        self.squares = []
        for k in range(rows * columns):
            place = divmod(k, columns)
            square = W.Button(tooltip=f"{what} row {place[0] + 1}, column {place[1] + 1}", tabbable=False, **clear)
            square.on_click(lambda _, place=place: press(*place))
            self.squares.append(square)
        tracks = {"grid_template_rows": f"repeat({rows}, 1fr)", "grid_template_columns": f"repeat({columns}, 1fr)"}
        over = W.Layout(
            width=width, height=height, margin=f"-{height} 0 0 0", grid_gap="0", overflow="hidden", **tracks
        )
        super().__init__([self.page, W.GridBox(self.squares, layout=over)], layout=W.Layout(overflow="hidden"))
