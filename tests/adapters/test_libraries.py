"""Our methods serve Quantus, Captum's serve as ours."""

import warnings

import numpy as np
import pytest
import torch

from xnb import attribute
from xnb.adapters import for_quantus, from_captum


def test_quantus_explains_with_our_method(model, x, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantus = pytest.importorskip("quantus")
        metric = quantus.Sparseness(disable_warnings=True, abs=True, normalise=False)
        scores = metric(
            model=model,
            x_batch=x.numpy(),
            y_batch=target.numpy(),
            a_batch=None,
            explain_func=for_quantus("gradient_times_input"),
            device="cpu",
        )
    a = np.sort(attribute(model, x, target, "gradient_times_input").abs().flatten(1).numpy(), axis=1)
    n = a.shape[1]
    gini = (2 * np.arange(1, n + 1) - n - 1) @ a.T / (n * a.sum(1))
    np.testing.assert_allclose(scores, gini, rtol=1e-4)


def test_knobs_reach_our_method(model, x, target):
    explain_func = for_quantus("occlusion", window=2)
    found = explain_func(model, x.numpy(), target.numpy(), device="cpu")
    expected = attribute(model, x, target, "occlusion", window=2).expand_as(x).numpy()
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected)


def test_a_captum_class_is_a_method(model, x, target):
    captum = pytest.importorskip("captum.attr")
    saliency = from_captum(captum.Saliency, abs=False)
    torch.testing.assert_close(saliency(model, x, target), attribute(model, x, target, "gradient"))
    occlusion = from_captum(captum.Occlusion, sliding_window_shapes=(2, 2, 2), strides=(2, 2, 2))
    with torch.no_grad():
        found = occlusion(model, x, target)
    assert found.dtype == x.dtype
    torch.testing.assert_close(
        found, attribute(model, x, target, "occlusion", window=2).expand_as(x), rtol=1e-5, atol=1e-6
    )
