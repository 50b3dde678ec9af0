"""A map is drawn with the numbers that it is given, over the picture it belongs to."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xnb import plot


@pytest.fixture
def ax():
    return Figure().subplots()


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


def test_a_photograph_with_one_loud_pixel_is_no_white_sheet(ax):
    """224 x 224 magnitudes of 1 and one of 1,000: the scale ends at 1, not at 1,000."""
    a = torch.ones(3, 224, 224) / 3
    a[0, 5, 5] = 1000
    plot.attribution(a, ax)
    assert ax.images[0].get_clim() == pytest.approx((-1, 1))
    assert ax.figure.axes[1].get_ylabel() == "0.0 % beyond, up to 1e+03"


@pytest.mark.parametrize("shape", [(1, 2, 4, 5), (2, 4, 5), (4, 5)])
def test_shapes_that_are_one_map(shape, ax):
    a = torch.rand(shape, requires_grad=True)
    plot.attribution(a, ax)
    expected = a.detach().reshape(-1, 4, 5).sum(0)
    np.testing.assert_allclose(ax.images[0].get_array(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((2, 3, 4, 4), r"a\[0\]"), ((7,), r"plot.bars\(names, a"), ((1, 1, 2, 4, 4), r"plot.slices\(x\[0\], a\[0\]")],
)
def test_shapes_that_are_not(shape, hint, ax):
    with pytest.raises(ValueError, match=rf"one attribution is \(C, H, W\) or \(H, W\)\n  got: .*\n  try: {hint}"):
        plot.attribution(np.zeros(shape), ax)


def test_a_coarse_map_covers_the_whole_picture_below_it(ax):
    plot.attribution(np.ones((1, 2, 4)), ax, under=np.ones((3, 20, 40)), colorbar=False)
    picture, heat = ax.images
    assert list(picture.get_extent()) == list(heat.get_extent()) == [-0.5, 3.5, 1.5, -0.5]


def test_over_grey_the_map_has_one_opacity(ax):
    x = np.random.default_rng(0).random((3, 2, 2))
    plot.attribution(np.ones((1, 2, 2)), ax, under=x)
    grey, heat = ax.images
    np.testing.assert_allclose(grey.get_array(), x.mean(0))
    assert heat.get_alpha() == 0.75
    plot.attribution(np.ones((1, 2, 2)), ax, under=x, opacity=0.2)
    assert ax.images[3].get_alpha() == 0.2
    plot.attribution(np.ones((1, 2, 2)), ax)
    assert ax.images[4].get_alpha() == 1


def test_over_colours_the_map_covers_only_what_it_says(ax):
    """Magnitudes 0, 1 and 4 of 4 cover by 0, sqrt(1 / 4) and 1; colours keep 65 % of what they lack to white."""
    a = np.array([[0.0, -1.0, 4.0]])
    x = np.zeros((3, 1, 3))
    x[0] = 1
    plot.attribution(a, ax, under=x, underlay="colour")
    picture, heat = ax.images
    np.testing.assert_allclose(heat.get_alpha(), [[0, 0.5, 1]])
    np.testing.assert_allclose(picture.get_array()[0, 0], [1, 0.35, 0.35])
    plot.attribution(a, ax, under=x, underlay="colour", opacity=0.5)
    np.testing.assert_allclose(ax.images[3].get_alpha(), [[0, 0.25, 0.5]])


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"opacity": 1.5}, "opacity must lie in"),
        ({"underlay": "color"}, 'underlay must be "grey" or "colour"'),
        ({"under": np.full((3, 4, 4), -2.0)}, r"a picture lies in \[0, 1\]"),
        ({"under": np.zeros((5, 4, 4)), "underlay": "colour"}, "1 or 3 channels"),
        ({"under": np.zeros((2, 3, 4, 4))}, "the picture below is"),
        ({"cmap": "no such"}, "colour map of matplotlib"),
        ({"mask": np.zeros((2, 4, 4))}, "a mask is"),
    ],
)
def test_looks_that_are_refused(knobs, says, ax):
    with pytest.raises(ValueError, match=says):
        plot.attribution(np.ones((1, 4, 4)), ax, **knobs)


def test_a_picture_of_five_channels_lies_below_in_grey(ax):
    x = np.random.default_rng(0).random((5, 4, 4))
    plot.attribution(np.ones((4, 4)), ax, under=x)
    np.testing.assert_allclose(ax.images[0].get_array(), x.mean(0))


def border(ax):
    """The pixel edges that were drawn, one a row, as x and y of their ends."""
    return np.concatenate([np.array(lines.get_segments()) for lines in ax.collections])


def test_outline_runs_around_the_mask(ax):
    """A mask of 2 x 3 pixels has a border of 10 pixel edges, at half-integer coordinates."""
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1:3, 2:5] = True
    plot.outline(mask, ax)
    edges = border(ax)
    assert len(edges) == 10
    x, y = edges[..., 0], edges[..., 1]
    assert (x.min(), x.max(), y.min(), y.max()) == (1.5, 4.5, 0.5, 2.5)


def test_a_mask_at_the_border_of_the_picture_is_closed_there(ax):
    plot.outline(torch.ones(2, 3, dtype=torch.bool), ax)
    assert len(border(ax)) == 10


def test_an_outline_fits_a_coarse_map(ax):
    """The right half of 4 x 8 pixels is the right column of a map of 1 x 2: its edges lie at 0.5 and 1.5."""
    mask = np.zeros((1, 4, 8), dtype=bool)
    mask[..., 4:] = True
    plot.attribution(np.ones((1, 1, 2)), ax, mask=mask)
    x, y = border(ax)[..., 0], border(ax)[..., 1]
    assert (x.min(), x.max(), y.min(), y.max()) == (0.5, 1.5, -0.5, 0.5)


def test_borders_of_superpixels_run_between_them_only(ax):
    """Quarters of 4 x 4 pixels have four edges between left and right, and four between above and below."""
    quarters = torch.arange(2).repeat_interleave(2)[:, None] * 2 + torch.arange(2).repeat_interleave(2)
    plot.attribution(np.ones((1, 4, 4)), ax, regions=quarters)
    edges = border(ax)
    assert len(edges) == 8
    middle = np.abs(edges - 1.5).max((0, 1))  # the farthest of them from the middle, along x and y
    assert middle.tolist() == [2, 2]
    assert ((edges[..., 0] == 1.5).all(1) | (edges[..., 1] == 1.5).all(1)).all()
