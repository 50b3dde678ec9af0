"""The networks in Keras on PyTorch: the same functions, and what `xnb` can and cannot see of them.

Tests: frameworks.keras_networks, frameworks.study
"""

import keras
import pytest
import torch
from torch import nn

import xnb
from frameworks import keras_side, study, torch_side
from frameworks.convert import MISTAKES, Conversion


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def name(request):
    return request.param


def test_keras_runs_on_torch():
    assert keras.backend.backend() == "torch"


def test_logits_and_gradients_are_those_of_torch(name):
    net, model, part = torch_side.load(name), keras_side.load(name), torch_side.load_inputs(name, 50)
    torch.testing.assert_close(model(part.x), net(part.x), rtol=1e-5, atol=1e-5)
    ours, theirs = (torch_side.gradient(m, part.x[:6], part.y[:6]) for m in (net, model))
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


def test_loading_leaves_the_random_state_as_it_was():
    before = torch.get_rng_state()
    keras_side.load("mlp")
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_are_found_by_name_with_channels_last():
    """Grad-CAM of the Keras layer is that of its twin; the layer's output is (B, H, W, C)."""
    net, model, part = torch_side.load("cnn"), keras_side.load("cnn"), torch_side.load_inputs("cnn", 3)
    theirs = xnb.attribute(model, part.x, part.y, "grad_cam", layer="layers.relu3")
    torch.testing.assert_close(theirs, torch_side.grad_cam(net, part.x, part.y).detach(), rtol=1e-4, atol=1e-5)


def test_a_bare_keras_model_has_no_layer_to_find():
    part = torch_side.load_inputs("cnn", 1)
    with pytest.raises(ValueError, match="layer: no module"):
        xnb.attribute(keras_side.load("cnn").model.eval(), part.x.permute(0, 2, 3, 1), part.y, "grad_cam")


def test_relevance_depends_on_how_batch_norm_is_written():
    """One function, twice: `F.batch_norm`, and subtract, mul_, add_. Gradients agree, relevance does not."""

    class WrittenOut(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            mean, variance, weight, bias = (
                values[:, None, None]
                for values in (self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias)
            )
            return x.subtract(mean).mul(weight * (variance + self.norm.eps).rsqrt()).add(bias)

    net, part = torch_side.load("cnn"), torch_side.load_inputs("cnn", 2)
    twin = torch_side.load("cnn")
    for number in (1, 2, 3):
        setattr(twin, f"norm{number}", WrittenOut(twin.get_submodule(f"norm{number}")).eval())
    apart = study.compare_methods(
        keras_side.load("cnn"), net, part.x, part.y, ["gradient", "lrp", "guided_backprop", "deep_lift"]
    )
    assert apart.pop("lrp") > 0.5
    assert max(apart.values()) < 1e-4
    of_twin, of_keras = (xnb.attribute(m, part.x, part.y, "lrp") for m in (twin, keras_side.load("cnn")))
    assert study.measure_distance(of_twin, of_keras) < 0.01


def test_the_right_conversion_changes_nothing():
    facts = study.judge_conversion(keras_side.load("cnn"), torch_side.load("cnn"))
    assert facts["largest change of a logit"] < 1e-4
    assert facts["classes changed, %"] == 0
    assert facts["rank correlation with the right map"] > 0.999


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_runs_and_changes_logits(mistake):
    part = torch_side.load_inputs("cnn", 6)
    wrong = keras_side.load("cnn", MISTAKES[mistake])(part.x)
    right = keras_side.load("cnn", Conversion())(part.x)
    assert wrong.shape == right.shape
    assert (wrong - right).abs().max() > 0.01


def test_distance_is_in_units_of_the_largest_value():
    """|[1, 2] - [1, 4]| has the maximum 2, a half of 4."""
    assert study.measure_distance(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])) == 0.5


def test_both_sides_have_lines_for_each_task():
    lines = study.count_lines()
    assert (lines > 1).all(axis=None)
    assert len(lines) == 8
