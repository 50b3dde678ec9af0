"""What stands where something was removed: closed forms, a dense solution, and Quantus' imputation."""

import warnings

import numpy as np
import pytest
import torch

from xnb.metrics.imputers import NOISE, PAINTS, make_fill, noisy_linear_imputation


@pytest.fixture
def removed(x):
    """Three masks for each of the five pictures, from few pixels to nearly all."""
    share = torch.tensor([0.1, 0.5, 0.85])[:, None, None, None, None]
    return (torch.rand(3, 5, 1, 6, 6, generator=torch.Generator().manual_seed(2)) < share).to(x)


def dense(picture, hole):
    """The same equations pixel by pixel: each removed value is the weighted mean of its neighbours in the picture."""
    height, width = hole.shape
    lhs, rhs = np.eye(height * width), picture.reshape(len(picture), -1).T.copy()
    for row, column in zip(*np.nonzero(hole), strict=True):
        here, total = row * width + column, 0.0
        lhs[here], rhs[here] = 0, 0
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                i, j = row + down, column + right
                if (down or right) and 0 <= i < height and 0 <= j < width:
                    weight = 1 / 12 if down and right else 1 / 6
                    lhs[here, i * width + j] = -weight
                    total += weight
        lhs[here, here] = total
    return np.linalg.solve(lhs, rhs).T.reshape(picture.shape)


def test_noisy_linear_solves_its_equations(x, removed):
    imputed = noisy_linear_imputation(x, removed)
    for mask, row in zip(removed, imputed, strict=True):
        for picture, hole, filled in zip(x, mask[:, 0], row, strict=True):
            expected = torch.from_numpy(dense(picture.numpy(), hole.bool().numpy()))
            noise = (filled - expected)[:, hole.bool()]
            assert torch.equal(filled[:, ~hole.bool()], picture[:, ~hole.bool()])
            assert noise.abs().max() < 5 * NOISE
            assert noise.norm() > 0


def test_noisy_linear_is_what_quantus_finds(x, removed, monkeypatch):
    monkeypatch.setattr("xnb.metrics.imputers.NOISE", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("quantus.functions.perturb_func").noisy_linear_imputation
        for picture, hole, filled in zip(x, removed[1, :, 0], noisy_linear_imputation(x, removed)[1], strict=True):
            indices = np.flatnonzero(hole.numpy())
            expected = theirs(picture.numpy(), indices, noise=0.0)
            np.testing.assert_allclose(filled, expected.reshape(picture.shape), atol=1e-9)


def test_one_mask_for_all_pictures_is_solved_together(x, removed):
    one = removed[:, :1]
    each_alone = noisy_linear_imputation(x, one.expand(-1, 5, -1, -1, -1))
    torch.testing.assert_close(noisy_linear_imputation(x, one), each_alone)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (2, 2), (3, 4)])
def test_noisy_linear_keeps_a_flat_picture_flat(shape, monkeypatch):
    monkeypatch.setattr("xnb.metrics.imputers.NOISE", 0)
    hole = torch.ones(2, 1, 1, *shape)
    hole[0, ..., 0, 0] = 0  # all but one pixel, and all
    filled = noisy_linear_imputation(torch.full((1, 3, *shape), 0.7), hole)
    torch.testing.assert_close(filled, torch.full((2, 1, 3, *shape), 0.7))


@pytest.mark.parametrize("name", [*PAINTS, "noisy_linear"])
def test_only_what_is_removed_changes(name, x, removed):
    imputed = make_fill(name, x)(slice(1, 4), removed[:, 1:4])
    hole = removed[:, 1:4].bool().expand_as(imputed)
    assert torch.equal(imputed[~hole], x[1:4].expand_as(imputed)[~hole])
    assert (imputed[hole] != x[1:4].expand_as(imputed)[hole]).all()


def test_paints(x):
    everything = torch.ones(1, 1, 1, 6, 6, dtype=x.dtype)
    fill = {name: make_fill(name, x)(slice(None), everything)[0] for name in PAINTS}
    assert fill["zero"].abs().max() == 0
    torch.testing.assert_close(fill["mean"], x.mean((2, 3), keepdim=True).expand_as(x))
    flat = torch.full((1, 3, 32, 32), 0.3)
    torch.testing.assert_close(PAINTS["blur"](flat), flat)
    detail = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert PAINTS["blur"](detail).std() < 0.1


def test_a_function_of_your_own(x):
    fill = make_fill(lambda pictures, removed: pictures + 9 * removed, x)
    assert torch.equal(fill(slice(0, 2), torch.ones(1, 1, 1, 6, 6))[0], x[:2] + 9)


@pytest.mark.parametrize("name", ["median", "noisy-linear"])
def test_unknown_names_are_refused(name, x):
    with pytest.raises(ValueError, match="noisy_linear"):
        make_fill(name, x)


@pytest.mark.parametrize("name", ["blur", "noisy_linear"])
def test_tables_have_no_neighbours(name):
    with pytest.raises(ValueError, match="needs pictures"):
        make_fill(name, torch.zeros(3, 4))
