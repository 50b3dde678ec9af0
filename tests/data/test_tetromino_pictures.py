"""What each task gives away and what it hides, beside theory and linear models."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from xnb import data
from xnb.data.tetromino_pictures import FIXED_FORMS, SMOOTH, STRENGTH, L, T

TASKS = [(task, background) for task in STRENGTH for background in STRENGTH[task]]
every_task = pytest.mark.parametrize(("task", "background"), TASKS)


def pixels(part):
    return part.x.flatten(1).double().numpy(), part.y.numpy()


def accuracy(split, change=lambda x: x):
    (x, y), (z, t) = pixels(split.train), pixels(split.test)
    return LogisticRegression(max_iter=5000).fit(change(x), y).score(change(z), t)


@every_task
def test_pictures_masks_and_labels(task, background):
    part = data.tetrominoes(task, background, n=(40, 10)).train
    assert part.x.shape == part.masks.shape == (40, 1, 8, 8)
    assert part.y.bincount().tolist() == [20, 20]
    assert set(part.masks.sum((1, 2, 3)).tolist()) == {4 if task == "rotation" else 8}
    if task != "rotation":
        assert (part.masks[:, 0].numpy() == FIXED_FORMS.any(0)).all()


@every_task
def test_nothing_but_the_mask_is_changed(task, background):
    """The same noise without a tetromino, and with a stronger one, differs within the mask alone."""
    none, some = (data.tetrominoes(task, background, n=(20, 0), strength=s).train for s in (0.0, 0.5))
    outside = ~some.masks
    assert torch.equal(none.x[outside], some.x[outside])
    changed = (none.x != some.x).flatten(1).sum(1)
    assert set(changed.tolist()) == {8 if task == "xor" else 4}


def test_background_has_the_stated_variance():
    for background in ("white", "correlated"):
        x = data.tetrominoes("linear", background, n=(3000, 0), strength=0.0).train.x
        assert float(x.square().mean()) == pytest.approx(1, abs=0.05)
    assert np.trace(SMOOTH @ SMOOTH.T) == pytest.approx(8)


def test_linear_is_as_hard_as_theory_says():
    """The best rule for white noise is the difference of the templates: right with probability Phi(s sqrt(8) / 2)."""
    x, y = pixels(data.tetrominoes("linear", n=(0, 4000)).test)
    right = ((x @ (FIXED_FORMS[1] - FIXED_FORMS[0]).ravel() > 0) == y).mean()
    best = norm.cdf(0.9 * 8**0.5 / 2)
    assert right == pytest.approx(best, abs=0.02)  # standard error 0.5 points
    assert best - 0.05 < accuracy(data.tetrominoes("linear", n=(2000, 2000))) < best + 0.02


@pytest.mark.parametrize("task", ["multiplicative", "xor"])
def test_a_linear_model_is_at_chance(task):
    """Standard error 1.1 points; the right products of pixels solve the same pictures."""
    split = data.tetrominoes(task, n=(2000, 2000))
    assert abs(accuracy(split) - 0.5) < 0.05
    first, second = (form.ravel() for form in FIXED_FORMS)
    product = (lambda x: x**2) if task == "multiplicative" else (lambda x: ((x @ first) * (x @ second))[:, None])
    assert accuracy(split, product) > 0.85


def test_no_pixel_and_no_mean_tells_the_class_of_xor():
    x, y = pixels(data.tetrominoes("xor", n=(4000, 0)).train)
    gap = (x[y == 1].mean(0) - x[y == 0].mean(0)) / x.std(0)
    assert abs(gap).max() < 4 / 1000**0.5  # four standard errors, for the largest of 64


def test_of_rotation_only_the_form_tells():
    """A linear model stays within 6 points of chance, and so does the place; templates at every place are right."""
    split = data.tetrominoes("rotation", n=(2000, 1000))
    assert abs(accuracy(split) - 0.5) < 0.06
    corner, test = (
        [np.concatenate([m.any(0), m.any(1)]).astype(float) for m in part.masks[:, 0].numpy()]
        for part in (split.train, split.test)
    )
    place = LogisticRegression(max_iter=2000).fit(corner, split.train.y)
    assert abs(place.score(test, split.test.y) - 0.5) < 0.06
    assert ((best(split.test.x[:, 0].numpy(), L) > best(split.test.x[:, 0].numpy(), T)) == split.test.y.numpy()).all()


def best(x, form):
    """Largest sum under the form, over all turns and places."""
    found = []
    for turned in {np.rot90(form, k).tobytes(): np.rot90(form, k) for k in range(4)}.values():
        windows = np.lib.stride_tricks.sliding_window_view(x, turned.shape, axis=(1, 2))
        found.append((windows * turned).sum((3, 4)).max((1, 2)))
    return np.max(found, axis=0)


def test_correlated_backgrounds_make_suppressors_and_white_ones_do_not():
    """Closed form: the best linear weights are S^-1 d. Covariance times weights gives the tetrominoes back."""
    d = (FIXED_FORMS[1] - FIXED_FORMS[0]).ravel()
    cover = np.kron(SMOOTH @ SMOOTH.T, SMOOTH @ SMOOTH.T) + 1e-3 * np.eye(64)  # a little noise of the sensor
    weights, outside = np.linalg.solve(cover, d), d == 0
    assert abs(weights[outside]).sum() > 0.5 * abs(weights).sum()
    np.testing.assert_allclose(cover @ weights, d, atol=1e-8)
    x, y = pixels(data.tetrominoes("linear", "correlated", n=(4000, 0), strength=0.0).train)
    np.testing.assert_allclose(np.cov(x.T), cover, atol=0.2)
    assert len(y) == 4000


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"task": "and"}, r"task must be a known one\n  got: 'and'\n  try: one of \['linear'"),
        ({"background": "imagenet"}, "white or correlated"),
        ({"n": (-1, 2)}, "two numbers of pictures"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        data.tetrominoes(**knobs)
