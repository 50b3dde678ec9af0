"""One record explained by several models side by side: does another model that is as good give the same reason?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from xnb.check import require
from xnb.types import Model
from xnb.widgets import markup, pixels
from xnb.widgets.cache import BoundedCache
from xnb.widgets.explained import Data, Subject, prepare_subject
from xnb.widgets.explore_state import MapAnswer, Question, answer_question
from xnb.widgets.panel import Panel, make_dropdown, make_input_slider, make_slider_of
from xnb.widgets.pixels import Pixels

_METHODS = ("integrated_gradients", "kernel_shap", "gradient_times_input")
_COUNTS = (5, 8, 12, 30)  # of features that are shown
_NAMES_WIDTH = 2.2  # inches at 100 pixels
_COLUMN_WIDTH = 1.7
_ROW_HEIGHT = 0.28
_HEAD_HEIGHT = 0.9


class Reason(NamedTuple):
    """What one model says of one record, and why: a value for each feature."""

    name: str
    probability: float
    values: Float[NDArray, " D"]


def records(
    models: Mapping[str, Model],
    data: Data,
    *,
    target: int = 0,
    methods: Sequence[str] = _METHODS,
    record: int = 0,
) -> "_RecordsPanel":
    """Explain one row of a table by several models, the features that any of them names on the same rows.

    Red speaks for the class, blue against it; each model's bars are shares of its largest, as models differ in how
    sure they are. Below stands the rank correlation of the sizes of their values over all features. Of two classes
    the difference of the logits is explained.

    Args:
        models: by name.
        data: the test part of a split, a part, or inputs alone.
        target: index of the class that is explained.
        methods: that may be chosen, the first one first.
        record: which row is shown first.

    Raises:
        ValueError: inputs that are no rows of a table.
    """
    subjects = {name: prepare_subject(model, data) for name, model in models.items()}
    for subject in subjects.values():
        hint = "xnb.widgets.explore(model, x)"
        require(subject.kind == "table", "records: inputs must be rows of a table (B, D)", subject.x, hint)
    return _RecordsPanel(subjects, target, methods, record)


class _RecordsPanel(Panel):
    """The widget of `records`."""

    def __init__(
        self,
        subjects: Mapping[str, Subject],
        target: int,
        methods: Sequence[str],
        record: int,
    ) -> None:
        self.subjects = subjects
        self.target = target
        self.answers: BoundedCache[tuple[str, Question], MapAnswer] = BoundedCache(256)
        first = self._first_subject()
        controls = {
            "record": make_input_slider(len(first.x), record, "record"),
            "method": make_dropdown("method", [(name.replace("_", " "), name) for name in methods], methods[0]),
            "features": make_slider_of("features", _COUNTS, _COUNTS[1]),
        }
        super().__init__(controls)
        self.refresh()

    def _first_subject(self) -> Subject:
        return next(iter(self.subjects.values()))

    def reasons(self) -> list[Reason]:
        """What each model says of the record that is selected, and why."""
        rival = 1 - self.target if len(self._first_subject().classes) == 2 else None
        question = Question(self.controls["record"].value, self.target, rival, self.controls["method"].value)
        found = []
        for name, subject in self.subjects.items():
            answer = self.answers.get((name, question), partial(answer_question, subject, question))
            probability = float(answer.probabilities[self.target])
            found.append(Reason(name, probability, answer.heat))
        return found

    def caption(self) -> str:
        """Number of the record, and its true class where that is known."""
        row = self.controls["record"].value
        truth = self._first_subject().true_class(row)
        return f"record {row}, in truth {truth}" if truth else f"record {row}"

    def draw_static(self) -> Figure:
        subject = self._first_subject()
        return draw_reasons(
            self.reasons(), subject.features, subject.classes[self.target], self.controls["features"].value
        )

    @property
    def picture(self) -> Pixels:
        """The bars of all models, as they are shown."""
        canvas = FigureCanvasAgg(self.draw_static())
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def draw(self) -> Iterator[tuple[str, str]]:
        reasons = self.reasons()
        named = ", ".join(f"{reason.name} {reason.probability:.0%}" for reason in reasons)
        alt = f"{self.caption()}; {self._first_subject().classes[self.target]}: {named}"
        image = markup.image_html(self.picture, alt, self.caption())
        agreements = "; ".join(describe_agreement(reasons))
        note = markup.note_html(f"rank correlation of sizes: {agreements}")
        yield "view", markup.column_html(image, note)

    def describe(self) -> str:
        return f"records: {self.caption()}, {self.controls['method'].value}. Run the cell to move it."


def describe_agreement(reasons: Sequence[Reason]) -> list[str]:
    """Say of each two models how alike they rank the sizes of their values."""
    lines = []
    for a, b in combinations(reasons, 2):
        correlation = stats.spearmanr(np.abs(a.values), np.abs(b.values)).statistic
        lines.append(f"{a.name} and {b.name} {correlation:.2f}")
    return lines


def order_features(reasons: Sequence[Reason], count: int) -> NDArray:
    """Return the features that have the largest shares of any model, the largest first."""
    shares = np.stack([_to_shares(reason.values) for reason in reasons])
    largest = np.abs(shares).max(0)
    return np.argsort(-largest, kind="stable")[:count]


def _to_shares(values: NDArray) -> NDArray:
    largest = np.abs(values).max()
    return values / largest if largest else values


def draw_reasons(
    reasons: Sequence[Reason],
    features: Sequence[str],
    of_class: str,
    count: int,
) -> Figure:
    """Draw a column of bars for each model, the same features in each."""
    order = order_features(reasons, count)
    width = max(7.0, _NAMES_WIDTH + _COLUMN_WIDTH * len(reasons))
    height = _HEAD_HEIGHT + _ROW_HEIGHT * len(order)
    fig = Figure(figsize=(width, height), dpi=100, layout="constrained")
    axes = fig.subplots(1, len(reasons), sharey=True, squeeze=False)[0]
    for ax, reason in zip(axes, reasons, strict=True):
        _draw_shares(ax, _to_shares(reason.values)[order])
        ax.set_title(f"{reason.name}\n{of_class} {reason.probability:.0%}", fontsize=10)
    names = [features[j] for j in order]
    axes[0].set_yticks(range(len(order)), names, fontsize=10)
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    return fig


def _draw_shares(ax: Axes, shares: NDArray) -> None:
    """Draw bars on an axis from -1 to 1, each in the full colour of its sign."""
    # At 0.7 of the scale, whose ends are so dark that red and blue look alike on a thin bar.
    colours = pixels.signed_colours(np.sign(shares) * 0.7, 1.0)
    ax.barh(range(len(shares)), shares, color=colours / 255)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(xlim=(-1.05, 1.05), xticks=[])
    ax.tick_params(length=0)
    ax.spines[["top", "right", "bottom", "left"]].set_visible(False)
