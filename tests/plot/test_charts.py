"""Charts draw the numbers that they are called with, and touch no other state."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from xnb import plot


@pytest.fixture
def ax():
    return Figure().subplots()


def test_history_and_bars_draw_their_numbers(ax):
    plot.history(pd.DataFrame({"number": [1, 2], "train_loss": [2.0, 1.0]}), ax, column="train_loss", label="net")
    assert ax.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    other = Figure().subplots()
    plot.bars(["a", "b"], [1.0, 2.0], other, label="count")
    assert [bar.get_width() for bar in other.patches] == [1, 2]


def test_confusion_rows_are_the_truth(ax):
    plot.confusion([[5, 1], [0, 7]], ("cat", "dog"), ax)
    assert ax.get_ylabel() == "true"
    assert [t.get_text() for t in ax.texts] == ["5", "1", "7"]  # a pair that was never confused stays empty
    assert ax.images[0].get_array().compressed().tolist() == [1]  # colour is for mistakes


def test_confusion_without_a_mistake_is_drawn(ax):
    plot.confusion([[5, 0], [0, 0]], ("a", "b"), ax)
    assert [t.get_text() for t in ax.texts] == ["5", "0"]


def test_predictions_mark_mistakes():
    figure = plot.predictions(np.zeros((3, 1, 2, 2)), ["a", "b", "c"], ["a", "c", "c"], Figure(), columns=2)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["says a", "says c", "says c", ""]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "is b", "", ""]
    assert [ax.spines["top"].get_visible() for ax in figure.axes[:3]] == [False, True, False]
    assert [ax.get_visible() for ax in figure.axes] == [True, True, True, False]


def test_structure_draws_every_module_and_arrow(ax):
    plot.structure([("x", "conv"), ("conv", "add"), ("x", "add")], ax)
    assert {t.get_text() for t in ax.texts} == {"x", "conv", "add"}
    assert len(ax.patches) == 3
    height = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert height["x"] > height["conv"] > height["add"]


def test_structure_of_a_chain_is_drawn_inside_its_axes(ax):
    plot.structure([("input", "stage1.1.conv1"), ("stage1.1.conv1", "head")], ax)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 for box in boxes)


def test_structure_leads_only_arrows_that_skip_past_the_boxes(ax):
    plot.structure([("x", "conv"), ("conv", "add"), ("x", "add")], ax)
    styles = sorted(type(arrow.get_connectionstyle()).__name__ for arrow in ax.patches)
    assert styles == ["Arc3", "Arc3", "Bar"]
    [beside] = [arrow for arrow in ax.patches if type(arrow.get_connectionstyle()).__name__ == "Bar"]
    ax.figure.canvas.draw()
    way = beside.get_path().transformed(beside.get_transform()).vertices
    [box] = [text.get_window_extent() for text in ax.texts if text.get_text() == "conv"]
    assert way[:, 0].max() > box.x1


def test_style_is_the_only_thing_that_touches_the_defaults(ax):
    with mpl.rc_context():
        before = dict(mpl.rcParams)
        plot.picture(np.zeros((1, 2, 2)), ax)
        assert dict(mpl.rcParams) == before
        plot.style()
        assert mpl.rcParams["svg.hashsalt"] == "xnb"
