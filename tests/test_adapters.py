"""Our methods serve Quantus, Captum's serve as ours, and two classes become one logit."""

import warnings

import numpy as np
import pytest
import torch

from xnb import attribute
from xnb.adapters import contrast, for_quantus, from_captum


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


def test_a_contrast_is_the_difference_of_two_logits(model, x):
    difference = contrast(model, 2, 0, of=3)
    with torch.no_grad():
        logits = model(x)
        torch.testing.assert_close(difference(x), (logits[:, 2] - logits[:, 0])[:, None])
    assert not difference.training


def test_a_contrast_changes_neither_the_model_nor_the_random_numbers(model, x, target):
    state = torch.get_rng_state()
    difference = contrast(model.train(), 2, 0, of=3)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(difference, x, torch.zeros_like(target), "gradient")


@pytest.mark.parametrize("pair", [(0, 0), (0, 3), (-1, 2)])
def test_a_contrast_needs_two_classes(model, pair):
    with pytest.raises(ValueError, match="contrast: two different classes"):
        contrast(model, *pair, of=3)
