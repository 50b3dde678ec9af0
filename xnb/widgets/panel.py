"""What all widgets share: controls beside a view, and how the view is kept up to date."""

import contextvars
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import ipywidgets as W
from matplotlib.figure import Figure

from xnb.progress import hide_progress
from xnb.widgets import markup, slider_names

_Number: TypeAlias = int | float
_BUSY_AFTER = 0.2  # seconds after which a view says that it is working
AUTOMATIC = "automatic"  # the value of a dropdown that stands for None
_CONTROLS_WIDTH = "320px"  # at 1024 pixels two pictures stand beside the controls
_CONTROL_STYLE: dict[str, Any] = {"style": {"description_width": "76px"}, "layout": W.Layout(width="99%")}


class Panel(W.VBox):
    """Controls on the left, areas of HTML on the right: the base class of every widget, and the guide to writing one.

    1. Write the pure functions first: from a state, a small frozen dataclass, to pixels and HTML.
    2. Write a subclass in a module of its own. Its `__init__` makes the controls, calls `super().__init__(controls,
       areas)`, and then `self.refresh()`, which draws for the first time. It has three methods and a property:

       * `draw()` yields pairs (name of an area, its HTML), the quickest first, for the values of the controls;
       * `draw_static()` returns the figure that takes the panel's place in a stored notebook, where nothing moves;
       * `describe()` returns one line of text that takes its place where there are no pictures;
       * `picture` is the array of pixels that `draw` shows in answer to the controls, which tests compare.

    3. Write a function that makes the panel of a model and data, and export it in `xnb/widgets/__init__.py`.
    4. Enter it in `PANELS` of `tests/widgets/widget_cases.py`, and its controls in `MOVES` of
       `tests/widgets/test_widgets_contract.py`, which fails for an exported widget that is not there. For a real page,
       enter it in `WIDGETS` of `tests/browser/widget_lines.py` and `MOVES` of `tests/browser/test_browser_widgets.py`.

    JupyterLab runs what a control starts in a second thread, beside the cell that is running. So a panel works on a
    model of its own, one refresh at a time under a lock, without pyplot. A refresh that finds a newer one waiting
    leaves the work to it: the last state wins. Controls themselves send only their newest value.

    Args:
        controls: by name; whenever the value of one changes, the view is drawn again.
        areas: names of the areas, which stand side by side where there is room.
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
        self.areas = {name: W.HTML() for name in areas}
        self.busy = W.HTML()
        self.lock = threading.RLock()
        self.newest_refresh = 0
        self.paused = False
        super().__init__([self._lay_out(before, after), slider_names.make_slider_names()])
        self.add_class(slider_names.PANEL_CLASS)
        for control in self.controls.values():
            self.redraw_on_change(control)

    def _lay_out(self, before: Sequence[W.Widget], after: Sequence[W.Widget]) -> W.Box:
        """Put the controls on the left and the view on the right, or below where the page is narrow."""
        controls_layout = W.Layout(width=_CONTROLS_WIDTH, flex="0 0 auto")
        left = W.VBox([*self.controls.values()], layout=controls_layout)

        wrapped = W.Layout(display="flex", flex_flow="row wrap", grid_gap="8px")
        view = W.Box([*before, *self.areas.values(), *after], layout=wrapped)
        right = W.VBox([view, self.busy], layout=W.Layout(flex="1 1 300px"))
        right.layout.min_width = "0"

        side_by_side = W.Layout(display="flex", flex_flow="row wrap", width="100%")
        return W.Box([left, right], layout=side_by_side)

    def draw(self) -> Iterator[tuple[str, str]]:
        """Yield names of areas with their HTML for the values that the controls have now, the quickest first."""
        return iter(())

    def draw_static(self) -> Figure:
        """Draw the figure that takes the panel's place where nothing moves."""
        return Figure()

    def describe(self) -> str:
        """Say in one line what the panel shows."""
        return type(self).__name__

    def redraw_on_change(self, control: W.Widget) -> None:
        """Draw again whenever the control's value changes."""
        if control.has_trait("value") and not isinstance(control, W.HTML):
            control.observe(self.refresh, "value")

    def refresh(self, change: object = None) -> None:
        """Draw the view for the values that the controls have now."""
        self.newest_refresh += 1
        mine = self.newest_refresh
        with self.lock:
            if mine == self.newest_refresh and not self.paused:
                self._fill_areas()

    @contextmanager
    def draw_once(self) -> Iterator[None]:
        """Set several controls in the block, and draw once behind it."""
        with self.lock:
            self.paused = True
            try:
                yield
            finally:
                self.paused = False
        self.refresh()

    def _fill_areas(self) -> None:
        """Put what `draw` yields into the areas; an error is shown in the first of them, where it is seen."""
        first = next(iter(self.areas))
        with _mark_busy(self.busy), hide_progress():
            try:
                for area, content in self.draw():
                    self.areas[area].value = content
            except Exception as error:  # a callback's exception would vanish in the log
                text = str(error) or type(error).__name__
                self.areas[first].value = markup.message_html(text)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """Return the live panel, and for pages without a kernel its figure and its line of text."""
        live = super()._repr_mimebundle_(**kwargs)
        image = _encode_figure(self.draw_static())
        return live | {"text/plain": self.describe(), "image/png": image}


@contextmanager
def _mark_busy(mark: W.HTML) -> Iterator[None]:
    """Show the mark while the block runs, once that takes longer than a person notices."""
    run = contextvars.copy_context().run  # messages of another thread still belong to this cell
    timer = threading.Timer(_BUSY_AFTER, run, (setattr, mark, "value", markup.BUSY))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        mark.value = ""


def _encode_figure(fig: Figure) -> bytes:
    """Encode the figure as a PNG file; the same figure gives the same bytes."""
    out = io.BytesIO()
    fig.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def make_slider(
    kind: type[W.Widget],
    name: str,
    value: _Number,
    low: _Number,
    high: _Number,
    step: _Number = 1,
) -> Any:
    """Make a slider that sends its value while it moves."""
    return kind(value=value, min=low, max=high, step=step, description=name, **_CONTROL_STYLE)


def make_slider_of(name: str, options: Sequence[object], value: object) -> W.SelectionSlider:
    """Make a slider over a list of values, one of which may be `AUTOMATIC`."""
    return W.SelectionSlider(options=options, value=value, description=name, **_CONTROL_STYLE)


def make_input_slider(count: int, value: int, name: str = "picture") -> W.IntSlider:
    """Make a slider that selects one of `count` inputs."""
    return make_slider(W.IntSlider, name, value, 0, count - 1)


def make_dropdown(name: str, options: Sequence[object], value: object) -> W.Dropdown:
    """Make a list of options; None as a value selects `AUTOMATIC`, as a list shows None as nothing selected."""
    selected = AUTOMATIC if value is None else value
    return W.Dropdown(options=options, value=selected, description=name, **_CONTROL_STYLE)


def make_list(name: str, options: Sequence[object], value: object) -> W.Select:
    """Make a list of options that are all in sight, so that a click selects one."""
    return W.Select(options=options, value=value, rows=min(len(options), 20), description=name, **_CONTROL_STYLE)


def make_class_dropdown(name: str, automatic: str, classes: Sequence[str], value: int | None) -> W.Dropdown:
    """Make a list of classes behind an entry that stands for None and reads `automatic`."""
    options = [(automatic, AUTOMATIC), *number_classes(classes)]
    return make_dropdown(name, options, value)


def number_classes(classes: Sequence[str]) -> list[tuple[str, int]]:
    """Pair each class name with its index, as options of a dropdown."""
    return [(name, index) for index, name in enumerate(classes)]


def selected_value(control: W.Widget) -> Any:
    """Value of a control, None for `AUTOMATIC`."""
    if control.value == AUTOMATIC:
        return None
    return control.value


def make_checkbox(name: str, value: bool) -> W.Checkbox:
    return W.Checkbox(value=value, description=name, indent=False)


def make_button(name: str, on_press: Callable[[], None], tooltip: str = "") -> W.Button:
    """Make a button that calls `on_press` without arguments."""
    layout = W.Layout(width="auto", min_width="80px")
    button = W.Button(description=name, tooltip=tooltip or name, layout=layout)
    button.on_click(lambda _: on_press())
    return button
