"""What stands where something is removed: numbers, tensors, names and functions, each for its own input."""

import math

import numpy as np
import pytest
import torch

from xnb import attribute
from xnb.access.baselines import BASELINES, expand_baseline
from xnb.access.rows import select_rows


def test_refuses_a_baseline_that_does_not_fit(x):
    assert torch.equal(expand_baseline(0.5, x), torch.full_like(x, 0.5))
    with pytest.raises(ValueError, match="must broadcast to x"):
        expand_baseline(torch.zeros(7).to(x), x)
    with pytest.raises(ValueError, match=r"dtype and device(.|\n)*try: baseline=torch.zeros_like\(x\)"):
        expand_baseline(torch.zeros_like(x).float(), x)
    with pytest.raises(ValueError, match=r"no baseline of that name\n  got: 'blurr'\n  try: one of \['blur'\]"):
        expand_baseline("blurr", x)
    with pytest.raises(ValueError, match="must be a number, a tensor, a function or a name"):
        expand_baseline(None, x)


def test_arrays_and_functions_are_taken(x):
    pixels = np.arange(6.0)
    assert torch.equal(expand_baseline(pixels, x), torch.arange(6.0).to(x).expand_as(x))
    assert torch.equal(expand_baseline(lambda x: x.flip(3), x), x.flip(3))
    assert torch.equal(expand_baseline(lambda x: 0.25, x), torch.full_like(x, 0.25))


def test_a_row_each_follows_inputs_in_any_order(x):
    """Five rows, five inputs in another order: as many as there are, and yet not where they were."""
    order = torch.tensor([3, 1, 4, 0, 2])
    with select_rows(order, 5):
        assert torch.equal(expand_baseline(x, x[order]), x[order])
    with select_rows(torch.tensor([3, 1]), 5):
        assert torch.equal(expand_baseline(x, x[[3, 1]]), x[[3, 1]])
        assert torch.equal(expand_baseline(x[[3, 1]], x[[3, 1]]), x[[3, 1]])  # of those that run alone


@pytest.mark.parametrize("shape", [(3, 2, 50), (3, 2, 12, 9), (3, 2, 5, 6, 7), (3, 1, 1, 40)])
def test_the_mean_is_that_of_each_channel(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)).double()
    expected = x.flatten(2).mean(2)
    found = expand_baseline("mean", x, places=tuple(range(2, len(shape))))
    torch.testing.assert_close(found.flatten(2), expected[..., None].expand_as(x.flatten(2)))


@pytest.mark.parametrize("shape", [(2, 2, 50), (2, 2, 13, 9), (2, 2, 5, 26, 7), (2, 1, 1, 40)])
def test_the_blur_is_a_gaussian_of_a_twelfth_of_each_side(shape):
    """Weights exp(-d^2 / 2 s^2), s = L / 12, up to 3 s, of the pixels inside, adding up to one; each axis in turn."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)).double()
    expected = x.clone()
    for axis in range(2, x.ndim):
        length = shape[axis]
        deviation = length / 12
        weights = torch.zeros(length, length).double()
        for i in range(length):
            for j in range(length):
                if abs(i - j) <= 3 * deviation:
                    weights[i, j] = math.exp(-((i - j) ** 2) / (2 * deviation**2))
        weights /= weights.sum(1, keepdim=True)
        expected = torch.tensordot(expected, weights, ([axis], [1])).movedim(-1, axis)
    places = tuple(range(2, len(shape)))
    torch.testing.assert_close(expand_baseline("blur", x, places=places), expected)
    flat = torch.full(shape, 0.7)
    torch.testing.assert_close(expand_baseline("blur", flat, places=places), flat)


def test_noise_fills_the_range_of_each_input_and_is_the_same_every_time():
    x = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    x[1] = 5 + 2 * x[1]
    noise = expand_baseline("noise", x)
    for i, (low, high) in enumerate([(0, 1), (5, 7)]):
        assert low <= noise[i].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < noise[i].max() <= high
        assert abs(noise[i].mean() - (low + high) / 2) < 0.02 * (high - low)
        assert abs(torch.corrcoef(torch.stack([noise[i].flatten(), x[i].flatten()]))[0, 1]) < 0.05
        assert torch.equal(expand_baseline("noise", x[i : i + 1])[0], noise[i])


@pytest.mark.parametrize("name", ["mean", "blur"])
def test_a_table_has_no_places(name):
    x = torch.randn(4, 5)
    with pytest.raises(ValueError, match=r"taken over places(.|\n)*try: baseline=x.mean\(0, keepdim=True\)"):
        expand_baseline(name, x)
    assert expand_baseline("noise", x).shape == x.shape
    assert not expand_baseline("zero", x).any()


WITH_BASELINE = ["integrated_gradients", "expected_gradients", "feature_ablation", "kernel_shap", "occlusion", "rise"]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("method", [*WITH_BASELINE, "lime", "permutation_shapley", "exact_shapley", "deep_lift"])
def test_a_name_is_the_tensor_that_it_stands_for(method, name, model, x, target):
    """Also for one input alone, and for every bit of the batch."""
    found = attribute(model, x, target, method, baseline=name)
    tensor = expand_baseline(name, x)
    same = (lambda z: tensor[: len(z)]) if method == "expected_gradients" else tensor
    torch.testing.assert_close(found, attribute(model, x, target, method, baseline=same))
    alone = attribute(model, x[3:4], target[3:4], method, baseline=name)
    torch.testing.assert_close(found[3:4], alone)
