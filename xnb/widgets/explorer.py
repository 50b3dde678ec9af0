"""One input, one explanation, and everything about it that can be moved."""

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as W
import pandas as pd
from matplotlib.figure import Figure
from traitlets import Bunch

from xnb.plot.scale import LARGE_MAP
from xnb.types import Model
from xnb.widgets import markup, static
from xnb.widgets.cache import BoundedCache
from xnb.widgets.colours import Numbers
from xnb.widgets.explained import Data, Subject, prepare_subject
from xnb.widgets.explorable import check_explorable, check_uploadable, settle_axes
from xnb.widgets.explore_state import Look, MapAnswer, Question, answer_question, scale_end
from xnb.widgets.explorer_pages import (
    NO_REMOVAL,
    facts_page,
    input_caption,
    removal_options,
    removal_page,
    shown_classes,
    view_page,
)
from xnb.widgets.knobs import make_knob_controls
from xnb.widgets.likelihoods import Unit
from xnb.widgets.map_code import code_lines
from xnb.widgets.map_pictures import draw_input, draw_map
from xnb.widgets.method_choice import (
    choose_first,
    is_large,
    lint_methods,
    method_options,
    read_methods,
    refusal_reasons,
    survey_methods,
)
from xnb.widgets.panel import (
    Panel,
    make_button,
    make_checkbox,
    make_class_dropdown,
    make_dropdown,
    make_input_slider,
    make_slider,
    selected_value,
)
from xnb.widgets.pixels import Pixels
from xnb.widgets.upload import decode_upload

_SCALES = [("ends at the largest value", "largest"), ("clipped: 99 % of the values", "clip"), ("held as it is", "held")]


def explore(
    model: Model,
    data: Data,
    *,
    classes: Sequence[str] | None = None,
    method: str | None = None,
    picture: int = 0,
    methods: str | Sequence[str] | None = None,
    upload: bool = False,
    unit: Unit | None = None,
    words: Sequence[Sequence[str]] = (),
    mean: Numbers = 0.0,
    std: Numbers = 1.0,
) -> "_ExplorerPanel":
    """Explain single inputs and move everything: input, class, method, knobs, colours.

    Inputs are pictures in [0, 1], volumes `(B, C, D, H, W)`, signals `(B, C, T)`, texts as embeddings `(B, T, D)`, or
    rows of a table. Shown are the probabilities, the map on a scale symmetric around zero, its mask where one is known,
    what it cost, and how fast the class is lost when what the map calls important is removed.

    Methods that are not right for the model are listed with the reason, see `xnb.lint`. All are tried before the panel
    opens. With photographs and large networks that would take a minute: a method is then tried when it is chosen, and
    a button tries all.

    Args:
        data: the test part of a split, a part, or inputs alone.
        classes: their names; those of the split if omitted.
        method: which is shown first; by default the first of `methods`, and of all gradient times input, where that is
            right for the model.
        picture: which input is shown first.
        methods: those that are offered, all by default.
        upload: with a button for pictures of one's own, brought to the size of the others, which are pictures too.
        unit: how outputs become probabilities: "softmax", "sigmoid" (each class a label of its own), "as is". By
            default one logit goes through the sigmoid, stated probabilities stay, all else goes through softmax.
        words: of each text, one for each of its T embeddings; by default their numbers, where the model shows that
            inputs are embeddings.
        mean: and `std`, a number or one a channel, of pictures that were normalised: `x * std + mean` is shown.

    Raises:
        ValueError: as `xnb.explain`; pictures outside [0, 1]; an unknown method, or none that is right for the model.
            Later refusals are shown in the widget.
    """
    subject = prepare_subject(model, data, classes, unit=unit, words=words, mean=mean, std=std)
    check_explorable(subject)
    subject = settle_axes(subject)
    if upload:
        check_uploadable(subject)
    table = survey_methods(subject, read_methods(methods, method))
    start = Question(picture=picture, method=choose_first(table, method, in_order=methods is not None))
    return _ExplorerPanel(subject, start, table, upload=upload)


class _ExplorerPanel(Panel):
    """The widget of `explore`.

    Attributes:
        table: which methods are valid, and why not the others, as far as they have been tried.
        knob_controls: controls of each method that was selected, which keep their values when another one is.
        refusal: why an uploaded file was not taken, until it is shown.
        held_end: where the colour scale ends while it is held.
    """

    def __init__(
        self,
        subject: Subject,
        start: Question,
        table: pd.DataFrame,
        *,
        upload: bool = False,
    ) -> None:
        self.subject = subject
        self.table = table
        self.answers: BoundedCache[Question, MapAnswer] = BoundedCache()
        self.knob_controls: dict[str, dict[str, W.Widget]] = {}
        self.refusal = ""
        self.held_end = 1.0

        controls = _explorer_controls(subject, start, table)
        if is_large(subject):
            controls["try"] = make_button("try all methods", self.try_all, "on the first input; it may take a minute")
        if upload:
            button = W.FileUpload(accept="image/*", description="your picture")
            button.observe(self.receive_upload, "value")
            controls = {"upload": button, **controls}
        # These come before the observers of the panel, which draw: the view must find what they set.
        controls["scale"].observe(self.hold_scale, "value")
        controls["method"].observe(self.show_knobs, "value")
        super().__init__(controls, ("view", "facts", "removal", "code"))
        self.show_knobs()
        self.refresh()

    def show_knobs(self, change: object = None) -> None:
        """Show the knobs of the selected method, where they were when it was selected last."""
        method = self.controls["method"].value
        if method not in self.knob_controls:
            self.knob_controls[method] = make_knob_controls(method, self.subject)
            for control in self.knob_controls[method].values():
                self.redraw_on_change(control)
        self.controls["knobs"].children = [*self.knob_controls[method].values()]

    def try_all(self) -> None:
        """Try every method that is offered on the first input, and offer only those that are right."""
        names = list(self.table.index)
        refused = self.controls["refused"]
        for number, name in enumerate(names, 1):
            refused.value = markup.note_html(f"trying {number} of {len(names)}: {name}")
            self.table.update(lint_methods(self.subject, [name]))
        before = self.controls["method"].value
        options = method_options(self.table)
        valid = [name for _, name in options]
        # Setting options chooses the first of them, which would draw its map in passing.
        with self.draw_once():
            self.controls["method"].options = options
            self.controls["method"].value = before if before in valid else valid[0]
        refused.value = markup.reasons_html(refusal_reasons(self.table))

    def receive_upload(self, change: Bunch) -> None:
        """Show an uploaded picture, or why it cannot be shown."""
        if not change.new:
            return
        C, H, W_ = self.subject.x.shape[1:]
        content = bytes(change.new[-1]["content"])
        try:
            x = decode_upload(content, (H, W_), C)
        except ValueError as refusal:
            self.refusal = str(refusal)
            return
        self.subject = self.subject.add_upload(x)
        last = len(self.subject.x) - 1
        self.controls["picture"].max = last
        self.controls["picture"].value = last

    def hold_scale(self, change: Bunch) -> None:
        """Keep the end of the colour scale where it was before it was held."""
        if change.new == "held":
            before = Look(scale=change.old)
            self.held_end = scale_end(self.answer(), before)

    @property
    def question(self) -> Question:
        """What the controls ask now."""
        method = self.controls["method"].value
        knobs = self.knob_controls.get(method, {})
        return Question(
            picture=self.controls["picture"].value,
            target=selected_value(self.controls["target"]),
            rather=selected_value(self.controls["rather"]),
            method=method,
            knobs=tuple((name, selected_value(control)) for name, control in knobs.items()),
        )

    @property
    def look(self) -> Look:
        """How the controls want the answer drawn."""
        return Look(
            scale=self.controls["scale"].value,
            end=self.held_end,
            normalised=self.controls["normalised"].value,
            opacity=self.controls["opacity"].value,
            outline=self.controls["outline"].value,
        )

    def answer(self) -> MapAnswer:
        """Answer to the question; it is computed once."""
        question = self.question
        return self.answers.get(question, lambda: answer_question(self.subject, question))

    @property
    def picture(self) -> Pixels:
        """The map that is shown, `(H, W, 3)`."""
        return draw_map(self.subject, self.question, self.answer(), self.look)

    def draw(self) -> Iterator[tuple[str, str]]:
        """Yield the map first, as the curves of removal take longest."""
        if self.refusal:
            yield "view", markup.message_html(self.refusal)
            self.refusal = ""
            return
        question = self.question
        look = self.look
        answer = self.answer()
        yield "view", view_page(self.subject, question, answer, look)
        yield "facts", facts_page(self.subject, answer)
        lines = code_lines(self.subject, question, answer, look)
        yield "code", markup.code_html("Copy as code", lines)
        yield "removal", removal_page(self.subject, question, answer, self.controls["removal"].value)

    def describe(self) -> str:
        question = self.question
        return f"explore: input {question.picture}, {question.method}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw input, map and probabilities."""
        question = self.question
        look = self.look
        answer = self.answer()
        # Bars of a table's row are as high as it has features, signals are wide; pictures are square.
        is_picture = self.subject.kind == "picture"
        size = {} if is_picture else {"width": 9.0, "height": 5.0}
        fig, axes = static.new_figure(3, **size)
        caption = input_caption(self.subject, question, answer)
        static.show_pixels(draw_input(self.subject, question, look), axes[0], caption)
        static.show_pixels(draw_map(self.subject, question, answer, look), axes[1], question.method)
        names, probabilities = shown_classes(self.subject, answer)
        static.show_probabilities(names, probabilities, axes[2])
        return fig


def _explorer_controls(subject: Subject, start: Question, table: pd.DataFrame) -> dict[str, Any]:
    """Make the controls in the order in which they stand, for the methods that are right for the model."""
    quick = subject.kind in ("picture", "table") and not is_large(subject)
    impute = "mean" if quick else NO_REMOVAL
    reasons = markup.reasons_html(refusal_reasons(table))
    return {
        "picture": make_input_slider(len(subject.x), start.picture),
        "target": make_class_dropdown("class", "what the model says", subject.classes, start.target),
        "rather": make_class_dropdown("rather than", "no other class", subject.classes, start.rather),
        "method": make_dropdown("method", method_options(table), start.method),
        "knobs": W.VBox(),
        **_look_controls(subject),
        "removal": make_dropdown("removal", removal_options(subject), impute),
        "refused": W.HTML(reasons),
    }


def _look_controls(subject: Subject) -> dict[str, Any]:
    """Make the controls of how the map is drawn."""
    outline = make_checkbox("outline of the mask", subject.masks is not None)
    outline.disabled = subject.masks is None
    opacity = make_slider(W.FloatSlider, "opacity", 1.0, 0, 1, 0.05)
    opacity.disabled = subject.kind != "picture"  # all else has nothing below, or is drawn on the map
    # In a large map, one pixel that nobody sees must not leave all others white.
    scale = "clip" if subject.kind == "picture" and subject.x[0, 0].numel() > LARGE_MAP else "largest"
    return {
        "scale": make_dropdown("colours", _SCALES, scale),
        "opacity": opacity,
        "normalised": make_checkbox("numbers as shares of the end of the scale", False),
        "outline": outline,
    }
