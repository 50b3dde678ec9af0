"""Similarity of two maps: that of SciPy and scikit-image, and constant maps."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

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
