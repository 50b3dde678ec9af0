"""Similarity of two maps: that of SciPy and scikit-image, and constant maps; ranks and largest cells, cell by cell."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from xnb.metrics import rank_correlation, top_within_one_cell
from xnb.metrics.similarity import map_similarity


def test_rank_correlation_is_that_of_scipy_also_with_ties(x):
    a, b = x.round(), (x + x.flip(0)).round()
    for kind, change in (("spearman", np.asarray), ("spearman_abs", np.abs)):
        pairs = zip(a.sum(1).flatten(1).numpy(), b.sum(1).flatten(1).numpy(), strict=True)
        expected = [spearmanr(change(one), change(other))[0] for one, other in pairs]
        np.testing.assert_allclose(map_similarity(a, b, x, kind), expected, rtol=1e-9)


def test_ssim_is_that_of_scikit_image():
    x, y = torch.randn(2, 3, 2, 9, 8, generator=torch.Generator().manual_seed(0))
    similarities = map_similarity(x, 5 * y, x, "ssim")
    for one, other, ours in zip(x.sum(1).numpy(), y.sum(1).numpy(), similarities, strict=True):
        pair = (one / np.abs(one).max(), other / np.abs(other).max())
        assert structural_similarity(*pair, data_range=2) == pytest.approx(ours.item(), abs=1e-6)


def test_constant_maps_are_similar_only_if_equal(x):
    one = torch.ones_like(x)
    assert (map_similarity(one, one, x) == 1).all()
    assert map_similarity(one, x, x).isnan().all()
    assert (
        map_similarity(torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8), "ssim") == 1
    ).all()


@pytest.mark.parametrize(("kind", "rule"), [("ssim", "at least 7 pixels"), ("hog", "similarity must be")])
def test_refusals(kind, rule, x, as_users_run):
    with pytest.raises(ValueError, match=rule):
        map_similarity(x, x, x, kind)


def peak(row, column, size=5):
    a = torch.zeros(1, 1, size, size)
    a[0, 0, row, column] = -2  # the largest magnitude, whatever its sign
    return a


@pytest.mark.parametrize("sizes", [False, True])
def test_cells_are_ranked_as_scipy_ranks_them_channels_summed(x, sizes):
    a, b = x.round(), (x + x.flip(0)).round()[:, :1]
    ours = rank_correlation(a, b, sizes=sizes)
    change = np.abs if sizes else np.asarray
    pairs = zip(change(a.sum(1).flatten(1).numpy()), change(b.flatten(1).numpy()), strict=True)
    np.testing.assert_allclose(ours, [spearmanr(one, other)[0] for one, other in pairs], rtol=1e-9)


def test_orders_have_closed_forms():
    up = torch.tensor([[1.0, 2, 3, 4]])
    assert rank_correlation(up, up.exp()).item() == pytest.approx(1)
    assert rank_correlation(up, -up).item() == pytest.approx(-1)
    assert rank_correlation(up, -up, sizes=True).item() == pytest.approx(1)
    assert rank_correlation(up, up[:, [1, 0, 3, 2]]).item() == pytest.approx(1 - 6 * 4 / (4 * 15))
    assert rank_correlation(up[:, None], up[..., None]).item() == pytest.approx(1)


def test_a_constant_map_has_no_order(x):
    assert rank_correlation(torch.ones_like(x), torch.ones_like(x)).isnan().all()
    assert rank_correlation(x, x[:, :1] * 0 + 3).isnan().all()
    signs = torch.tensor([[1.0, -1, 1]])
    assert rank_correlation(signs, signs).item() == pytest.approx(1)
    assert rank_correlation(signs, signs, sizes=True).isnan()


@pytest.mark.parametrize(("cell", "near"), [((2, 2), 1), ((1, 1), 1), ((3, 2), 1), ((2, 4), 0), ((0, 2), 0)])
def test_a_cell_has_eight_neighbours(cell, near):
    assert top_within_one_cell(peak(2, 2), peak(*cell).abs()).item() == near
    assert top_within_one_cell(peak(*cell), peak(2, 2)).item() == near


def test_a_step_has_two_neighbours_and_rows_do_not_wrap():
    steps = torch.eye(6)
    near = [top_within_one_cell(steps[[2]], steps[[other]]).item() for other in range(6)]
    assert near == [0, 1, 1, 1, 0, 0]
    assert top_within_one_cell(peak(0, 4), peak(1, 0)).item() == 0


def test_ties_are_the_average_over_choices():
    two = peak(0, 0) + peak(4, 4)
    assert top_within_one_cell(two, peak(0, 1)).item() == pytest.approx(1 / 2)
    assert top_within_one_cell(two, two).item() == pytest.approx(2 / 4)


@pytest.mark.parametrize(("h", "w"), [(4, 4), (7, 7), (1, 6), (2, 3)])
def test_chance_is_the_share_of_pairs_that_are_near(h, w):
    flat = torch.ones(1, 1, h, w)
    assert top_within_one_cell(flat, flat).item() == pytest.approx((3 * h - 2) * (3 * w - 2) / (h * w) ** 2)


@pytest.mark.parametrize("compare", [rank_correlation, top_within_one_cell])
@pytest.mark.parametrize(
    ("b", "rule"),
    [
        (torch.rand(2, 3, 4), "maps of pictures"),
        (torch.rand(2, 1, 3, 4, 4), "maps of pictures"),
        (torch.rand(2, 1, 2, 2), "inputs and cells of a"),
        (torch.rand(3, 1, 4, 4), "inputs and cells of a"),
        (torch.full((2, 1, 4, 4), torch.inf), "b must be finite"),
    ],
)
def test_pairs_of_maps_that_are_refused(compare, b, rule, as_users_run):
    with pytest.raises(ValueError, match=rule):
        compare(torch.rand(2, 1, 4, 4), b)
