"""What stands where something was removed: closed forms, a dense solution, and Quantus' imputation."""

import warnings

import numpy as np
import pytest
import torch

from xnb.access.rows import select_rows
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


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.61, 0.9])
def test_long_rows_are_solved_as_dense_equations_are(share, monkeypatch):
    """Where little of them is removed it goes by sparse elimination, else as a band."""
    monkeypatch.setattr("xnb.metrics.imputers.NOISE", 0)
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(1, 2, 5, 100, dtype=torch.double, generator=rng)
    hole = torch.zeros(500, dtype=torch.double)
    hole[torch.randperm(500, generator=rng)[: round(500 * share)]] = 1
    hole = hole.view(5, 100)
    expected = torch.from_numpy(dense(x[0].numpy(), hole.bool().numpy()))
    filled = noisy_linear_imputation(x, hole[None, None, None])[0, 0]
    torch.testing.assert_close(filled, expected, rtol=0, atol=1e-13)


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
    imputed = make_fill(name, x, (2, 3))(slice(1, 4), removed[:, 1:4])
    hole = removed[:, 1:4].bool().expand_as(imputed)
    assert torch.equal(imputed[~hole], x[1:4].expand_as(imputed)[~hole])
    assert (imputed[hole] != x[1:4].expand_as(imputed)[hole]).all()


def test_paints(x):
    everything = torch.ones(1, 1, 1, 6, 6, dtype=x.dtype)
    fill = {name: make_fill(name, x, (2, 3))(slice(None), everything)[0] for name in PAINTS}
    assert fill["zero"].abs().max() == 0
    torch.testing.assert_close(fill["mean"], x.mean((2, 3), keepdim=True).expand_as(x))
    flat = torch.full((1, 3, 32, 32), 0.3)
    torch.testing.assert_close(PAINTS["blur"](flat, (2, 3)), flat)
    detail = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert PAINTS["blur"](detail, (2, 3)).std() < 0.1


def test_a_function_of_your_own(x):
    fill = make_fill(lambda pictures, removed: pictures + 9 * removed, x, (2, 3))
    assert torch.equal(fill(slice(0, 2), torch.ones(1, 1, 1, 6, 6))[0], x[:2] + 9)


def test_a_hole_of_a_signal_is_a_straight_line(monkeypatch):
    """Two neighbours a step: between 1 and 5 stand 2, 3, 4, and at the end what the last known step has."""
    monkeypatch.setattr("xnb.metrics.imputers.NOISE", 0)
    x = torch.tensor([[[1.0, 9, 9, 9, 5, 9, 9], [0, 9, 9, 9, -4, 9, 9]]])
    hole = torch.tensor([0.0, 1, 1, 1, 0, 1, 1]).view(1, 1, 1, 7)
    expected = torch.tensor([[[1.0, 2, 3, 4, 5, 5, 5], [0, -1, -2, -3, -4, -4, -4]]])
    torch.testing.assert_close(make_fill("noisy_linear", x, (2,))(slice(None), hole)[0], expected)


def test_a_volume_solves_the_equations_of_its_26_neighbours(monkeypatch):
    """Weights 1/6 beside, 1/12 across an edge, 1/24 across a corner, solved densely."""
    monkeypatch.setattr("xnb.metrics.imputers.NOISE", 0)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 3, 4, 2, dtype=torch.double, generator=rng)
    hole = torch.rand(1, 1, 1, 3, 4, 2, generator=rng) < 0.6
    places = list(np.ndindex(3, 4, 2))
    lhs, rhs = np.eye(24), x[0].flatten(1).T.numpy().copy()
    for i in np.flatnonzero(hole.flatten()):
        lhs[i], rhs[i] = 0, 0
        for j, other in enumerate(places):
            distance = np.abs(np.subtract(places[i], other))
            if i != j and distance.max() == 1:
                lhs[i, j] = -1 / 3 / 2 ** distance.sum()
        lhs[i, i] = -lhs[i].sum()
    expected = torch.from_numpy(np.linalg.solve(lhs, rhs).T).view(1, 1, 2, 3, 4, 2)
    filled = make_fill("noisy_linear", x, (2, 3, 4))(slice(None), hole.double())
    torch.testing.assert_close(filled, expected, atol=1e-8, rtol=0)


def test_blur_is_torchvisions():
    from torchvision.transforms.functional import gaussian_blur

    x = torch.randn(2, 3, 24, 36, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(PAINTS["blur"](x, (2, 3)), gaussian_blur(x, [19, 13], [3.0, 2.0]), atol=1e-6, rtol=0)


def test_two_places_have_no_detail_to_blur():
    with pytest.raises(ValueError, match=r"more than two places[^\n]*\n.*\n  try: impute='mean'"):
        make_fill("blur", torch.zeros(2, 3, 2, 2), (2, 3))
    assert make_fill("blur", torch.zeros(2, 3, 2, 3), (2, 3))


@pytest.mark.parametrize(("shape", "axes"), [((2, 3, 60), (2,)), ((2, 3, 24, 24, 24), (2, 3, 4))])
def test_signals_and_volumes_are_blurred_along_each_axis(shape, axes):
    """A single bright place gets the product of Gaussians: its sum stays, and it is (2 pi sigma^2)^(-n/2)."""
    x = torch.zeros(shape).double()
    middle = (0, 0, *[length // 2 for length in shape[2:]])
    x[middle] = 1
    blurred = PAINTS["blur"](x, axes)
    sigma = shape[2] / 12
    assert blurred.sum().item() == pytest.approx(1)
    assert blurred[middle].item() == pytest.approx((2 * np.pi * sigma**2) ** (-len(axes) / 2), rel=0.03)
    assert blurred[1].abs().max() == blurred[0, 1].abs().max() == 0


def test_the_mean_is_over_places_and_of_instances_zero():
    x = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(PAINTS["mean"](x, (2,)), x.mean(2, keepdim=True).expand_as(x))
    assert PAINTS["mean"](x, (1,)).abs().max() == 0


def test_a_number_and_a_tensor_with_a_row_an_input(x):
    everything = torch.ones(1, 1, 1, 6, 6, dtype=x.dtype)
    assert (make_fill(0.5, x, (2, 3))(slice(1, 3), everything) == 0.5).all()
    rows = torch.arange(5).to(x).view(5, 1, 1, 1)
    filled = make_fill(rows, x, (2, 3))(slice(1, 3), everything)[0]
    assert torch.equal(filled, rows[1:3].expand_as(filled))
    with select_rows(torch.tensor([4, 2]), 5):
        filled = make_fill(rows, x[[4, 2]], (2, 3))(slice(None), everything)[0]
    assert filled[:, 0, 0, 0].tolist() == [4, 2]


@pytest.mark.parametrize("wrong", [torch.zeros(3, 1, 1, 1), torch.zeros(7), [0, "a"], float("nan")])
def test_what_is_no_filling_is_refused(wrong, x):
    with pytest.raises(ValueError, match=r"^impute|^metrics: impute"):
        make_fill(wrong, x, (2, 3))


@pytest.mark.parametrize("wrong", [lambda x, removed: x, lambda x, removed: x + removed / 0])
def test_what_a_function_returns_is_checked(wrong, x):
    fill = make_fill(wrong, x, (2, 3))
    with pytest.raises(ValueError, match="a function that imputes must return") as refusal:
        fill(slice(None), torch.ones(3, 1, 1, 6, 6).to(x))
    pasted = {"torch": torch}
    exec(str(refusal.value).split("try: ")[1], pasted)
    assert make_fill(pasted["impute"], x, (2, 3))(slice(None), torch.ones(3, 1, 1, 6, 6).to(x)).abs().max() == 0


@pytest.mark.parametrize("name", ["median", "noisy-linear"])
def test_unknown_names_are_refused(name, x):
    with pytest.raises(ValueError, match="noisy_linear"):
        make_fill(name, x, (2, 3))


@pytest.mark.parametrize("name", ["blur", "noisy_linear"])
def test_tables_have_no_neighbours(name):
    with pytest.raises(ValueError, match="have no neighbours"):
        make_fill(name, torch.zeros(3, 4), (1,))
