"""Two classes become one logit."""

import pytest
import torch

from xnb import attribute
from xnb.adapters import contrast


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
