"""Several methods on one input, on one scale, beside control methods that never see the model."""

from collections.abc import Iterator, Sequence
from functools import partial

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from traitlets import Bunch

from xnb.check import require
from xnb.types import Model
from xnb.widgets import markup, pixels, static
from xnb.widgets.cache import BoundedCache
from xnb.widgets.explained import Data, Subject, likeliest_classes, prepare_subject
from xnb.widgets.explore_state import Look, MapAnswer, Question, answer_question
from xnb.widgets.explorer_pages import input_caption
from xnb.widgets.map_pictures import describe_map, draw_input, outline_evidence
from xnb.widgets.method_choice import method_options, read_methods, survey_methods
from xnb.widgets.panel import (
    AUTOMATIC,
    Panel,
    make_button,
    make_class_dropdown,
    make_dropdown,
    make_input_slider,
    selected_value,
)
from xnb.widgets.pixels import Pixels

_FIRST_METHODS = ("gradient_times_input", "integrated_gradients", "grad_cam", "occlusion")
_CONTROL_METHODS = ("edges", "random")
_CHEAPEST = "random"  # the method that is asked where only the prediction is wanted
SHARE_SCALE = "share"
OWN_SCALE = "own"
RAW_SCALE = "raw"
_METHOD_SCALES = [
    ("shares of each map, one scale", SHARE_SCALE),
    ("each to its own largest", OWN_SCALE),
    ("raw numbers, one scale", RAW_SCALE),
]
_TILE_WIDTH = 160  # pixels: three stand side by side at 1024
_MAX_CLASSES_BESIDE = 4
_MAX_ANSWERS = 256  # ten methods on 25 inputs


def side_by_side(
    model: Model,
    data: Data,
    methods: Sequence[str] = _FIRST_METHODS,
    *,
    classes: Sequence[str] | None = None,
) -> "_MethodsPanel":
    """Compare methods on single inputs: one input, one class, one scale; pin what is to stay while you move on.

    Methods answer in different units, so on the shared scale each map is shown as shares of its own magnitude; raw
    numbers may be chosen. Two control methods always stand beside them: edges, and random numbers.

    Args:
        data: the test part of a split, a part, or inputs alone.
        methods: shown first; more may be chosen.
        classes: their names; those of the split if omitted.
    """
    return _MethodsPanel(prepare_subject(model, data, classes), methods)


class _MethodsPanel(Panel):
    """The widget of `side_by_side`.

    Attributes:
        methods: that have a tile, in order.
        pinned: tiles as HTML, by the question and the kind of scale for which they were drawn.
        tiles: the box with a tile for each method.
    """

    def __init__(self, subject: Subject, methods: Sequence[str]) -> None:
        hint = "xnb.widgets.explore(model, x)"
        require(subject.kind == "picture", "side_by_side: inputs must be pictures (B, C, H, W)", subject.x, hint)
        self.subject = subject
        self.answers: BoundedCache[Question, MapAnswer] = BoundedCache(_MAX_ANSWERS)
        self.pinned: dict[tuple[Question, str], str] = {}

        wanted = read_methods([*methods, *_CONTROL_METHODS])  # each once, in this order
        options = method_options(survey_methods(subject, read_methods(None), wanted))
        valid = [name for _, name in options]
        self.methods = [name for name in wanted if name in valid]
        controls = {
            "picture": make_input_slider(len(subject.x), 0),
            "target": make_class_dropdown("class", "what the model says", subject.classes, None),
            "scale": make_dropdown("colours", _METHOD_SCALES, SHARE_SCALE),
            "add": make_dropdown("add", [("another method …", AUTOMATIC), *options], None),
        }
        controls["add"].observe(self.add, "value")  # before the observer of the panel, which draws
        self.tiles = W.Box(layout=W.Layout(display="flex", flex_flow="row wrap", grid_gap="10px", width="100%"))
        super().__init__(controls, ("view", "pinned"), after=[self.tiles])
        self.arrange_tiles()
        self.refresh()

    def add(self, change: Bunch) -> None:
        """Add the method that was selected, if it is not there already."""
        if change.new != AUTOMATIC and change.new not in self.methods:
            self.methods.append(change.new)
            self.arrange_tiles()

    def drop(self, name: str) -> None:
        """Take a method away."""
        self.methods.remove(name)
        self.arrange_tiles()
        self.refresh()

    def arrange_tiles(self) -> None:
        """Make a tile for each method, with buttons that pin it and take it away."""
        tiles = []
        for name in self.methods:
            self.areas.setdefault(name, W.HTML())
            pin = make_button("pin", partial(self.pin, name), f"keep the map of {name} while you move on")
            drop = make_button("drop", partial(self.drop, name), f"take {name} away")
            for button in (pin, drop):
                button.layout.min_width = "60px"
            tiles.append(W.VBox([self.areas[name], W.HBox([pin, drop])]))
        self.tiles.children = tiles

    def pin(self, name: str) -> None:
        """Keep this map in sight, or let it go again if it is pinned already."""
        key = (self.question(name), self.controls["scale"].value)
        if self.pinned.pop(key, None) is None:
            self.pinned[key] = self._tile_page(name, self.tile_ends()[name])
        self.areas["pinned"].value = markup.row_html(*self.pinned.values())

    def question(self, name: str) -> Question:
        """What the controls ask of one method."""
        return Question(
            picture=self.controls["picture"].value, target=selected_value(self.controls["target"]), method=name
        )

    def answer(self, name: str) -> MapAnswer:
        """Answer of one method; it is computed once."""
        question = self.question(name)
        return self.answers.get(question, lambda: answer_question(self.subject, question))

    def tile_ends(self) -> dict[str, float]:
        """Where the scale of each map ends, in its own unit."""
        maps = {name: self.answer(name).heat for name in self.methods}
        return scale_ends(maps, self.controls["scale"].value)

    def picture(self, name: str) -> Pixels:
        """The map of one method, as it is shown."""
        return self._draw_tile(name, self.tile_ends()[name])

    def _draw_tile(self, name: str, end: float) -> Pixels:
        """Draw the map of one method with an outline of the mask."""
        size = pixels.display_size(*self.subject.x.shape[2:])
        colours = pixels.signed_colours(self.answer(name).heat, end)
        rgb = pixels.resize_nearest(colours, size)
        return outline_evidence(rgb, self.subject, self.question(name), Look())

    def _tile_page(self, name: str, end: float) -> str:
        """Map of one method with its name above and its class and scale below."""
        question = self.question(name)
        answer = self.answer(name)
        alt = describe_map(self.subject, question, answer)
        image = markup.image_html(self._draw_tile(name, end), alt, name, _TILE_WIDTH)
        name_of_class = self.subject.classes[answer.target]
        note = f"input {question.picture}, {name_of_class}; full colour: {end:.2g}"
        return markup.column_html(image, markup.note_html(note), width=f"{_TILE_WIDTH}px")

    def draw(self) -> Iterator[tuple[str, str]]:
        yield "view", self._input_page()
        for name, end in self.tile_ends().items():
            yield name, self._tile_page(name, end)

    def _input_page(self) -> str:
        """The input, and the probabilities of the most probable classes."""
        question = self.question(_CHEAPEST)
        answer = self.answer(_CHEAPEST)
        caption = input_caption(self.subject, question, answer)
        picture = draw_input(self.subject, question, Look())
        image = markup.image_html(picture, caption, width=_TILE_WIDTH)
        likeliest = likeliest_classes(answer.probabilities, _MAX_CLASSES_BESIDE)
        bars = markup.bars_html(self.subject.class_names(likeliest), answer.probabilities[likeliest])
        return markup.row_html(image, bars)

    def describe(self) -> str:
        return f"side_by_side: input {self.controls['picture'].value}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the input and all maps in one line."""
        fig, axes = static.new_figure(len(self.methods) + 1, 9.0, 1.8)
        question = self.question(_CHEAPEST)
        picture = draw_input(self.subject, question, Look())
        static.show_pixels(picture, axes[0], f"input {question.picture}")
        for ax, (name, end) in zip(axes[1:], self.tile_ends().items(), strict=True):
            static.show_pixels(self._draw_tile(name, end), ax, "")
            ax.set_title(name.replace("_", " "), fontsize=7)
        return fig


def scale_ends(maps: dict[str, NDArray], scale: str) -> dict[str, float]:
    """Where the colour scale of each map ends, in its own unit.

    On the scale of shares, all maps end at the same share of their magnitude: the largest 99th percentile of all.
    """
    if scale == SHARE_SCALE:
        return _share_ends(maps)
    largest = {name: float(np.abs(heat).max()) for name, heat in maps.items()}
    if scale == OWN_SCALE:
        return {name: end or 1.0 for name, end in largest.items()}
    common = max(largest.values(), default=0) or 1.0
    return dict.fromkeys(maps, common)


def _share_ends(maps: dict[str, NDArray]) -> dict[str, float]:
    """Ends at one share of the mean magnitude of each map, so that maps in other units look alike."""
    magnitudes = {name: np.abs(heat) for name, heat in maps.items()}
    means = {name: float(magnitude.mean()) or 1.0 for name, magnitude in magnitudes.items()}
    shares = []
    for name, magnitude in magnitudes.items():
        high = float(np.percentile(magnitude, 99))
        shares.append(high / means[name])
    common = max(shares, default=0) or 1.0
    return {name: common * mean for name, mean in means.items()}
