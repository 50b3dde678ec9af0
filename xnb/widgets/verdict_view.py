"""Claims judged by hand: a bar that moves, trainings that are left out, and the verdict that follows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import ipywidgets as W
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from xnb.check import require
from xnb.comparison import Verdict, estimate_mean, judge_estimate
from xnb.comparison.claims import Claim
from xnb.comparison.inference import Estimate
from xnb.widgets import markup, static
from xnb.widgets.panel import Panel, make_dropdown, make_slider
from xnb.widgets.pixels import Pixels

# Inches at 100 pixels: it fits beside the controls on a page of 1024.
_WIDTH = 6.4
_HEIGHT = 1.9
_MARGIN = 0.35  # of the range of values, beyond them on either side: so far the bar can be moved
_STEPS = 200  # of the slider of the bar
_COLOURS = {Verdict.SUPPORTED: markup.BLUE, Verdict.REFUTED: "#de8f05", Verdict.OPEN: "0.45"}


@dataclass(frozen=True)
class _Statement:
    """What was measured, and the claim that it is judged by."""

    values: NDArray  # (trainings, inputs, ...)
    claim: Claim

    @property
    def range(self) -> tuple[float, float]:
        """Ends between which the bar can be moved."""
        by_training = self.values.reshape(len(self.values), -1)
        means = by_training.mean(1)
        shown = [*means, self.claim.bars[0].value, self.claim.bar]
        width = max(shown) - min(shown)
        margin = _MARGIN * width or 1.0
        return min(shown) - margin, max(shown) + margin

    def judge(self, bar: float, trainings: int) -> tuple[Estimate, Verdict]:
        """Return what the first trainings say of the claim with another bar."""
        estimate = estimate_mean(self.values[:trainings])
        last = replace(self.claim.bars[-1], value=bar)
        moved = replace(self.claim, bars=(last,))
        return estimate, judge_estimate(moved, estimate)


def judge(values: Mapping[str, ArrayLike], claims: Mapping[str, Claim]) -> Panel:
    """Move the bar of a claim, leave trainings out, and see the verdict change.

    A verdict that turns with a small move of its bar, or with the next training, is not to be relied on. One statement
    is judged at a time: p-values are not corrected here, and a verdict may be bolder than that of a table.

    Args:
        values: by statement, `(trainings, inputs)` or with more axes behind, as `xnb.comparison.estimate_mean` takes
            them.
        claims: by statement, the claim with its bar, as `xnb.comparison.read_claims` returns.

    Raises:
        ValueError: a statement without a claim, or with fewer than two trainings.
    """
    statements = {}
    for name, numbers in values.items():
        rule = "judge: each statement needs a claim of its name"
        require(name in claims, rule, name, "values = {name: values[name] for name in claims}")
        table = np.asarray(numbers, dtype=float)
        rule = "judge: values must have an axis of two trainings or more"
        require(table.ndim > 1 and len(table) > 1, rule, table.shape, f"values = {{{name!r}: np.random.rand(8, 20)}}")
        statements[name] = _Statement(table, claims[name])
    return _VerdictPanel(statements)


class _VerdictPanel(Panel):
    """The widget of `judge`."""

    def __init__(self, statements: Mapping[str, _Statement]) -> None:
        self.statements = dict(statements)
        super().__init__(_make_controls(self.statements))
        self.controls["statement"].observe(self._reset_sliders, "value")
        self._reset_sliders()

    def _reset_sliders(self, change: object = None) -> None:
        """Set the sliders to what the statement was judged by: its bar, and all its trainings."""
        statement = self.statement
        low, high = statement.range
        bar, trainings = self.controls["bar"], self.controls["trainings"]
        with self.draw_once():
            # The upper end first: it must not fall below the lower one in between.
            bar.max = max(bar.max, high)
            bar.min = low
            bar.max = high
            bar.step = (high - low) / _STEPS
            bar.value = statement.claim.bar
            trainings.max = len(statement.values)
            trainings.value = len(statement.values)

    @property
    def statement(self) -> _Statement:
        return self.statements[self.controls["statement"].value]

    def judge_now(self) -> tuple[Estimate, Verdict]:
        """Return estimate and verdict for what the controls select."""
        return self.statement.judge(self.controls["bar"].value, self.controls["trainings"].value)

    @property
    def picture(self) -> Pixels:
        """The interval beside its bar."""
        fig = Figure(figsize=(_WIDTH, _HEIGHT), dpi=100, layout="constrained")
        # The canvas is made by hand, as pyplot would keep the figure and is not safe in a second thread.
        canvas = FigureCanvasAgg(fig)
        self._draw_interval(fig.add_subplot())
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw_interval(self, ax: Axes) -> None:
        estimate, verdict = self.judge_now()
        trainings = self.controls["trainings"].value
        _draw_statement(ax, self.statement, estimate, self.controls["bar"].value, trainings, _COLOURS[verdict])
        ax.set_title(self._caption(), fontsize=9)

    def _caption(self) -> str:
        estimate, verdict = self.judge_now()
        ends = f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        bar, side = self.controls["bar"].value, self.statement.claim.side
        return f"{ends}, claimed {side} {bar:.2f}, {self.controls['trainings'].value} trainings: {verdict}"

    def draw(self) -> Iterator[tuple[str, str]]:
        caption = self._caption()
        claim = self.statement.claim
        picture = markup.image_html(self.picture, caption, caption)
        facts = {
            "could have seen": f"{self.judge_now()[0].detectable:.2f} from the bar",
            "bars so far": ", ".join(f"{bar.value:g}" for bar in claim.bars),
        }
        quote = markup.note_html(f"“{claim.sentence}” {claim.source}")
        yield "view", markup.column_html(picture, markup.table_html("The estimate", facts), quote, width="640px")

    def describe(self) -> str:
        return f"judge: {self.controls['statement'].value}. Run the cell to move it."

    def draw_static(self) -> Figure:
        """Draw the interval, its bar and the trainings."""
        fig, [ax] = static.new_figure(1, height=2.2)
        self._draw_interval(ax)
        return fig


def _make_controls(statements: Mapping[str, _Statement]) -> dict[str, W.Widget]:
    """Make the controls, for the first statement."""
    first = next(iter(statements.values()))
    low, high = first.range
    count = len(first.values)
    return {
        "statement": make_dropdown("statement", list(statements), next(iter(statements))),
        "bar": make_slider(W.FloatSlider, "bar", first.claim.bar, low, high, (high - low) / _STEPS),
        "trainings": make_slider(W.IntSlider, "trainings", count, 2, count),
    }


def _draw_statement(
    ax: Axes, statement: _Statement, estimate: Estimate, bar: float, trainings: int, colour: str
) -> None:
    """Draw the mean of each training, those that are left out as rings, and below the interval beside the bar."""
    by_training = statement.values.reshape(len(statement.values), -1)
    means = by_training.mean(1)
    heights = np.full(len(means), 1.0)
    ax.plot(means[:trainings], heights[:trainings], "o", color="0.35", markersize=6, alpha=0.8)
    # Trainings that are left out stay in sight, as rings.
    ax.plot(means[trainings:], heights[trainings:], "o", markerfacecolor="none", markeredgecolor="0.6", markersize=6)
    ax.plot([estimate.low, estimate.high], [0, 0], color=colour, linewidth=4, solid_capstyle="butt")
    ax.plot(estimate.mean, 0, "D", color=colour, markeredgecolor="white", markersize=8)
    low, high = statement.range
    claimed = (bar, high) if statement.claim.side == "above" else (low, bar)
    ax.axvspan(*claimed, color=markup.BLUE, alpha=0.12)
    ax.axvline(bar, color="black", linestyle="--", linewidth=1)
    ax.set(xlim=(low, high), ylim=(-0.7, 1.7), yticks=[0, 1], yticklabels=["interval", "trainings"])
    ax.set_xlabel("shaded: what the claim says; dashed: its bar", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
