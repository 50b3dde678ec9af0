"""Weights and inputs of PyTorch as those of Keras, in numpy alone."""

from dataclasses import asdict

import numpy as np
import pytest

from frameworks.convert import (
    MISTAKES,
    Conversion,
    convert_conv,
    convert_flat_linear,
    convert_mlp,
    convert_pictures,
    restore_pictures,
)

DRAWS = np.random.default_rng(0)


def test_a_kernel_meets_the_same_values():
    """sum over (in, y, x) of kernel (out, in, y, x) = sum over (y, x, in) of kernel (y, x, in, out)."""
    kernel, patch = DRAWS.normal(size=(5, 3, 2, 2)), DRAWS.normal(size=(3, 2, 2))
    ours = np.einsum("oiyx,iyx->o", kernel, patch)
    theirs = np.einsum("yxio,yxi->o", convert_conv(kernel), patch.transpose(1, 2, 0))
    np.testing.assert_allclose(theirs, ours)


def test_a_linear_layer_behind_a_flattening_meets_the_same_values():
    """Maps (4, 3, 3) flattened by channel and then place, or by place and then channel."""
    weight, maps = DRAWS.normal(size=(2, 36)), DRAWS.normal(size=(4, 3, 3))
    by_place = maps.transpose(1, 2, 0).reshape(-1)
    right = by_place @ convert_flat_linear(weight, 4, Conversion())
    np.testing.assert_allclose(right, weight @ maps.reshape(-1))
    wrong = by_place @ convert_flat_linear(weight, 4, Conversion(flatten="by channel"))
    assert np.abs(wrong - right).min() > 0.1


def test_linear_layers_are_turned():
    state = {f"{name}.weight": np.arange(6.0).reshape(2, 3) for name in ("hidden1", "hidden2", "head")}
    state |= {f"{name}.bias": np.ones(2) for name in ("hidden1", "hidden2", "head")}
    kernel, bias = convert_mlp(state)["head"]
    assert kernel[2, 1] == state["head.weight"][1, 2] == 5
    assert bias.tolist() == [1, 1]


@pytest.mark.parametrize("pictures", ["moved", "reshaped", "bgr"])
def test_pictures_come_back_the_way_they_went(pictures):
    x = DRAWS.normal(size=(2, 3, 4, 5))
    conversion = Conversion(pictures=pictures)
    there = convert_pictures(x, conversion)
    assert there.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(restore_pictures(there, conversion), x)


def test_moved_pictures_keep_their_pixels():
    x = DRAWS.normal(size=(1, 3, 4, 5))
    np.testing.assert_array_equal(convert_pictures(x, Conversion())[0, 2, 3], x[0, :, 2, 3])
    np.testing.assert_array_equal(convert_pictures(x, Conversion(pictures="bgr"))[0, 2, 3], x[0, ::-1, 2, 3])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_word(mistake):
    changed = asdict(MISTAKES[mistake]).items() - asdict(Conversion()).items()
    assert len(changed) == 1
