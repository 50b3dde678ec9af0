"""Units of the model's output: probability and margin."""

import pytest
import torch

from xnb.metrics.output_units import convert_output


def test_the_logit_is_the_model_itself(model, x, target):
    assert convert_output("score", model, x, target) is model


def test_probabilities_sum_to_one(model, x, target):
    torch.testing.assert_close(convert_output("probability", model, x, target)(x).sum(1), torch.ones(5).double())


def test_only_the_predicted_class_is_ahead(model, x, target):
    out = model(x)
    margins = convert_output("margin", model, x, target)(x)
    assert torch.equal(margins.argmax(1), out.argmax(1))
    assert ((margins > 0).sum(1) == 1).all()
    best_other = out.scatter(1, target[:, None], -torch.inf).amax(1, keepdim=True)
    torch.testing.assert_close(margins.gather(1, target[:, None]), out.gather(1, target[:, None]) - best_other)


def test_one_class_is_ahead_of_none(x, target):
    with pytest.raises(ValueError, match="two classes"):
        convert_output("margin", lambda x: x.flatten(1)[:, :1], x, target)(x)
