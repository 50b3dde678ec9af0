"""What all widgets share: controls beside a view, and how a view is kept up to date."""

import contextvars
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import ipywidgets as W
from matplotlib.figure import Figure

from xnb.progress import silently
from xnb.widgets import markup

Number: TypeAlias = int | float
PATIENCE = 0.2  # seconds after which a view says that it is working
AUTOMATIC = "automatic"
WIDTH = "320px"  # of the controls: at 1024 pixels two pictures stand beside them


class Panel(W.VBox):
    """Controls on the left, areas of a page on the right. A kind of it has three methods.

    `draw()` yields names of areas with their pages, the quickest first; `still()` is the figure that takes the
    panel's place in a stored notebook, where nothing moves; `words()` says in one line what it shows.

    JupyterLab runs what a control starts in a second thread, beside the cell that is running. So a panel works on a
    model of its own, one refresh at a time under a lock, without pyplot. A refresh that finds a newer one waiting
    leaves the work to it: the last state wins. Controls themselves send only their newest value.

    Args:
        controls: by name; whenever the value of one changes, the view is drawn again.
        areas: of the view, side by side where there is room.
        before: widgets of the view in front of the areas.
        after: widgets of the view behind them.
    """

    def __init__(
        self,
        controls: Mapping[str, W.Widget],
        areas: Sequence[str] = ("view",),
        *,
        before: Sequence[W.Widget] = (),
        after: Sequence[W.Widget] = (),
    ) -> None:
        self.controls = dict(controls)
        self.lock, self.wanted, self.paused = threading.RLock(), 0, False
        self.busy, self.pages = W.HTML(), {area: W.HTML() for area in areas}
        left = W.VBox([*self.controls.values()], layout=W.Layout(width=WIDTH, flex="0 0 auto"))
        wrap = W.Layout(display="flex", flex_flow="row wrap", grid_gap="8px")
        right = W.VBox(
            [W.Box([*before, *self.pages.values(), *after], layout=wrap), self.busy], layout=W.Layout(flex="1 1 300px")
        )
        right.layout.min_width = "0"
        super().__init__([W.Box([left, right], layout=W.Layout(display="flex", flex_flow="row wrap", width="100%"))])
        for control in self.controls.values():
            self.follow(control)

    def follow(self, control: W.Widget) -> None:
        """Draw again whenever the control's value changes."""
        if control.has_trait("value") and not isinstance(control, W.HTML):
            control.observe(self.refresh, "value")

    def refresh(self, change: object = None) -> None:
        """Draw the view for the values that the controls have now."""
        self.wanted += 1
        mine = self.wanted
        with self.lock:
            if mine == self.wanted and not self.paused:
                self.show()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Set several controls, then draw once."""
        with self.lock:
            self.paused = True
            try:
                yield
            finally:
                self.paused = False
        self.refresh()

    def show(self) -> None:
        """Fill the areas; what goes wrong is said in the first of them, where it is seen."""
        first = next(iter(self.pages))
        with working(self.busy), silently():
            try:
                for area, content in self.draw():
                    self.pages[area].value = content
            except Exception as error:  # a callback's exception would vanish in the log
                self.pages[first].value = markup.message(str(error) or type(error).__name__)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """The live panel, and for pages without a kernel its picture and its words."""
        live = super()._repr_mimebundle_(**kwargs)
        return live | {"text/plain": self.words(), "image/png": png(self.still())}


@contextmanager
def working(mark: W.HTML) -> Iterator[None]:
    """Show the mark if the block takes longer than a person notices."""
    tell = contextvars.copy_context().run  # messages of another thread still belong to this cell
    timer = threading.Timer(PATIENCE, tell, (setattr, mark, "value", markup.BUSY))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        mark.value = ""


def png(fig: Figure) -> bytes:
    """The figure as a file; the same figure gives the same bytes."""
    out = io.BytesIO()
    fig.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def slider(kind: type[W.Widget], name: str, value: Number, low: Number, high: Number, step: Number = 1) -> W.Widget:
    """A slider that sends while it moves."""
    return kind(value=value, min=low, max=high, step=step, description=name, **WIDE)


def choice(name: str, options: list, value: object) -> W.Dropdown:
    """One of several; `AUTOMATIC` stands for None, which a list shows as nothing chosen."""
    return W.Dropdown(options=options, value=AUTOMATIC if value is None else value, description=name, **WIDE)


def chosen(control: W.Widget) -> object:
    return None if control.value == AUTOMATIC else control.value


def tick(name: str, value: bool) -> W.Checkbox:
    return W.Checkbox(value=value, description=name, indent=False)


def button(name: str, press: Callable[[], None], tooltip: str = "") -> W.Button:
    made = W.Button(description=name, tooltip=tooltip or name, layout=W.Layout(width="auto", min_width="80px"))
    made.on_click(lambda _: press())
    return made


WIDE = {"style": {"description_width": "76px"}, "layout": W.Layout(width="99%")}
