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


def test_picture_is_drawn_channels_last(ax):
    x = np.random.default_rng(0).random((3, 4, 5))
    plot.picture(x, ax, title="cat")
    assert np.array_equal(ax.images[0].get_array(), np.moveaxis(x, 0, -1))
    assert ax.get_title() == "cat"


@pytest.mark.parametrize(
    ("x", "says"),
    [(np.zeros((4, 4)), "channels"), (np.zeros((4, 4, 3)), "channels"), (np.full((1, 2, 2), 9.0), r"lies in \[0, 1\]")],
)
def test_not_a_picture(x, says, ax):
    with pytest.raises(ValueError, match=says):
        plot.picture(x, ax)


def test_attribution_scale_is_symmetric_and_sums_channels(ax):
    a = np.zeros((2, 3, 3))
    a[0, 1, 1], a[1, 1, 1], a[0, 0, 0] = 3, 1, -1
    plot.attribution(a, ax)
    shown = ax.images[0]
    assert shown.get_clim() == (-4, 4)
    assert shown.get_array()[1, 1] == 4
    assert shown.get_array()[0, 0] == -1
    assert np.allclose(shown.cmap(0.5)[:3], 1, atol=0.05)  # nothing is white
    assert [t.get_text() for t in ax.figure.axes[1].get_yticklabels()] == ["-4", "0", "4"]


def test_attribution_of_zeros_and_a_shared_limit(ax):
    plot.attribution(np.zeros((1, 3, 3)), ax)
    plot.attribution(np.ones((1, 3, 3)), ax, limit=10.0, colorbar=False)
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.images[1].get_clim() == (-10, 10)


def test_outline_runs_around_the_mask(ax):
    """A mask of 2 x 3 pixels has a border of 10 pixel edges, at half-integer coordinates."""
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1:3, 2:5] = True
    plot.outline(mask, ax)
    edges = np.concatenate([np.array(lines.get_segments()) for lines in ax.collections])
    assert len(edges) == 10
    x, y = edges[..., 0], edges[..., 1]
    assert (x.min(), x.max(), y.min(), y.max()) == (1.5, 4.5, 0.5, 2.5)


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
    assert [t.get_text() for t in ax.texts] == ["5", "1", "0", "7"]


def test_predictions_mark_mistakes():
    figure = plot.predictions(np.zeros((3, 1, 2, 2)), ["a", "b", "c"], ["a", "c", "c"], Figure(), columns=2)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["a", "c\n(b)", "c", ""]
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


def test_structure_bends_only_arrows_that_skip(ax):
    plot.structure([("x", "conv"), ("conv", "add"), ("x", "add")], ax)
    assert sorted(arrow.get_connectionstyle().rad for arrow in ax.patches) == [-0.65, 0, 0]


def test_style_is_the_only_thing_that_touches_the_defaults(ax):
    with mpl.rc_context():
        before = dict(mpl.rcParams)
        plot.picture(np.zeros((1, 2, 2)), ax)
        assert dict(mpl.rcParams) == before
        plot.style()
        assert mpl.rcParams["svg.hashsalt"] == "xnb"


def test_a_coarse_map_covers_the_whole_picture_below_it(ax):
    plot.attribution(np.ones((1, 2, 4)), ax, under=np.ones((3, 20, 40)), colorbar=False)
    picture, heat = ax.images
    assert list(picture.get_extent()) == list(heat.get_extent()) == [-0.5, 3.5, 1.5, -0.5]
