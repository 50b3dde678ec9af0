"""Layer-wise relevance propagation and DeepLIFT through parts that networks in use have.

Tests: xnb.methods.lrp_unweighted, xnb.methods.deep_lift_rules, xnb.access.functions.function_kinds,
xnb.access.functions.traced_call
"""

import pytest
import torch
from everyday_parts import PARTS, Around, drawn

from xnb import attribute
from xnb.access.score import score
from xnb.methods import lrp_division

X = drawn(3, 3, 6, 6)
TARGET = torch.tensor([0, 1, 2])


@pytest.fixture
def tiny_epsilon(monkeypatch):
    """So small that values near zero, which it would absorb, do not blur the comparison."""
    monkeypatch.setattr(lrp_division, "EPSILON", 1e-13)


@pytest.mark.usefixtures("tiny_epsilon")
@pytest.mark.parametrize("name", PARTS)
def test_epsilon_is_gradient_times_input_with_constants_in_the_right_places(name):
    part, with_constants = PARTS[name]
    model = Around(part)
    model.part = with_constants or part
    leaf = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(leaf).gather(1, TARGET[:, None]).sum(), leaf)
    model.part = part
    found = attribute(model, X, TARGET, "lrp", composite="epsilon")
    assert (found - slope * X).abs().max() <= 1e-6 * (slope * X).abs().max()


@pytest.mark.parametrize("name", PARTS)
def test_deep_lift_adds_up(name):
    model = Around(PARTS[name][0])
    found = attribute(model, X, TARGET, "deep_lift", baseline=X.flip(0) / 2)
    change = score(model, X, TARGET) - score(model, X.flip(0) / 2, TARGET)
    rounding = 1e-5 if name == "casts" else 1e-8  # through single precision
    torch.testing.assert_close(found.flatten(1).sum(1), change, rtol=rounding, atol=1e-10)
    assert found.abs().max() > 0


def leak(z):
    return torch.where(z > 0, z, z * 0.1)


@pytest.mark.usefixtures("tiny_epsilon")
def test_a_mask_that_the_signal_decides_is_a_constant_of_lrp_and_refused_by_deep_lift():
    """A leaky ReLU as `where` writes it: between reference and input its mask changes, and that takes no share."""
    model = Around(leak)
    found = attribute(model, X, TARGET, "lrp", composite="epsilon")
    expected = attribute(model, X, TARGET, "gradient_times_input")
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match=r"must add up.*\n  got: '.* missing of .*\n  try: xnb.attribute"):
        attribute(model, X, TARGET, "deep_lift", baseline=X.flip(0) / 2)
