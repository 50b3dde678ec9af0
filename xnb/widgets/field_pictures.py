"""Signals, volumes and texts as pictures: what `xnb.plot` draws of them, in pixels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xnb import plot
from xnb.widgets.explained import Kind, Subject
from xnb.widgets.pixels import Pixels

# Inches at 100 pixels: one such drawing fits beside the controls.
_WIDTH = 5.4
_SIGNAL_HEIGHT = 2.2
_VOLUME_HEIGHT = 1.6
_LINE_HEIGHT = 0.3
_LINE_LETTERS = 54
_SLICES = 4


def draw_fields(subject: Subject, row: int, heat: NDArray, end: float) -> Pixels:
    """Draw one input of a kind that is no picture, in the colours of its map, which end at `end`.

    Args:
        heat: `(T,)` of a signal or a text, `(D, H, W)` of a volume; zeros show the input alone.
    """
    x = subject.x[row].cpu()
    words = subject.words[row] if subject.words else ()
    fig = Figure(figsize=(_WIDTH, _find_height(subject.kind, words)), dpi=100, layout="constrained")
    # The canvas is made by hand, as pyplot would keep the figure and is not safe in a second thread.
    canvas = FigureCanvasAgg(fig)
    match subject.kind:
        case "volume":
            plot.slices(x, heat, fig, count=_SLICES, limit=end, colorbar=False)
        case "signal":
            plot.signal(x, heat, fig.subplots(), limit=end, colorbar=False)
        case "text":
            plot.tokens(words, heat, fig.subplots(), limit=end, line_length=_LINE_LETTERS, colorbar=False)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    return rgba[..., :3].copy()


def _find_height(kind: Kind, words: Sequence[str]) -> float:
    """Inches that a drawing is high; a text grows with its lines, of which some are not full."""
    letters = sum(len(word) + 1 for word in words)
    lines = 1 + letters / (0.8 * _LINE_LETTERS)
    return {"volume": _VOLUME_HEIGHT, "signal": _SIGNAL_HEIGHT}.get(kind, _LINE_HEIGHT * lines)
