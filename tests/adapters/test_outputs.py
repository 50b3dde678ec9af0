"""Outputs of many forms are the logits in them, and the maps are those of the logits.

Tests: xnb.adapters.wrapping
"""

import copy
import functools
from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from xnb import attribute, prepare
from xnb.access.hooks import capture_outputs
from xnb.access.score import logits as run
from xnb.adapters import contrast, label, logits, regression, two_classes

Named = namedtuple("Named", "logits aux_logits")


@dataclass
class Facts:
    loss: float
    logits: Tensor


class Output(nn.Module):
    """A model that returns its logits within something else."""

    def __init__(self, model, form):
        super().__init__()
        self.inner = model
        self.form = form
        self.eval()

    def forward(self, x):
        return self.form(self.inner(x))


def hidden(out):
    return out[:, :, None].expand(-1, -1, 4)


FORMS = {
    "tensor": lambda out: out,
    "named": lambda out: Named(out, 2 * out),
    "dataclass": lambda out: Facts(0.0, out),
    "logits": lambda out: {"loss": None, "logits": out, "hidden": hidden(out), "aux": 2 * out},
    "out": lambda out: {"aux": 2 * out, "out": out},
    "the only tensor of floats": lambda out: {"scores": out, "classes": torch.arange(3)},
    "one in a tuple": lambda out: (out,),
    "the only table in a tuple": lambda out: (hidden(out), out),
}


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_found(model, x, target, form):
    """The output and the gradient are those of the model that returns its logits alone."""
    found = logits(Output(model, FORMS[form]))
    torch.testing.assert_close(found(x), model(x))
    torch.testing.assert_close(attribute(found, x, target, "lrp"), attribute(model, x, target, "lrp"))


@pytest.mark.parametrize(("key", "form"), [(1, lambda out: (-out, out)), ("b", lambda out: {"a": -out, "b": out})])
def test_which_of_several_tables_is_meant_must_be_said(model, x, key, form):
    output = Output(model, form)
    first = "a" if key == "b" else 0
    with pytest.raises(ValueError, match="must say which of its tensors") as refusal:
        run(logits(output), x)
    assert f"logits(model.model, key={first!r})" in str(refusal.value)
    torch.testing.assert_close(logits(output, key=key)(x), model(x))


def test_a_key_that_is_not_there_is_refused_with_those_that_are(model, x):
    with pytest.raises(ValueError, match=r"'a': \(5, 3\)"):
        run(logits(Output(model, lambda out: {"a": out}), key="b"), x)


@pytest.mark.parametrize("form", [lambda out: None, lambda out: [], lambda out: out.detach().numpy()])
def test_an_output_without_logits_is_refused(model, x, form):
    with pytest.raises(ValueError, match="logits: "):
        run(logits(Output(model, form)), x)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("method", ["gradient", "lrp", "deep_lift", "occlusion"])
def test_two_classes_are_half_the_logit_each(model, x, target, shape, method):
    """Softmax of (-z/2, z/2) is (1 - sigmoid(z), sigmoid(z)); maps are -1/2 and 1/2 of that of z."""
    one = Output(model, lambda out: out[:, 2].reshape(shape))
    both = two_classes(one)
    p = model(x)[:, 2].sigmoid()
    torch.testing.assert_close(both(x).softmax(1), torch.stack([1 - p, p], 1))
    of_z = attribute(model, x, 2, method)
    close = {"rtol": 1e-3, "atol": 1e-5} if method == "lrp" else {}  # one more layer, which absorbs its epsilon
    torch.testing.assert_close(attribute(both, x, 1, method), of_z / 2, **close)
    torch.testing.assert_close(attribute(both, x, 0, method), -of_z / 2, **close)


def test_a_regression_is_explained_by_target_1(model, x):
    number = regression(Output(model, lambda out: out[:, 1]))
    assert number(x).shape == (5, 1)
    torch.testing.assert_close(attribute(number, x, 1, "gradient"), attribute(model, x, 1, "gradient"))
    torch.testing.assert_close(attribute(number, x, 0, "gradient"), -attribute(model, x, 1, "gradient"))


@pytest.mark.parametrize("adapter", [two_classes, regression])
def test_several_numbers_an_input_are_not_one(model, x, adapter):
    with pytest.raises(ValueError, match="must return one number an input"):
        run(adapter(model), x)


@pytest.mark.parametrize("method", ["gradient", "lrp", "deep_lift", "occlusion"])
def test_a_label_is_its_own_logit(model, x, method):
    """Target 1 is logit k and target 0 its negative, whatever the other labels say."""
    found = label(model, 2)
    torch.testing.assert_close(found(x), model(x)[:, 2:])
    torch.testing.assert_close(attribute(found, x, 1, method), attribute(model, x, 2, method))
    torch.testing.assert_close(attribute(found, x, 0, method), -attribute(model, x, 2, method))


@pytest.mark.parametrize("k", [-1, 3])
def test_a_label_is_one_of_the_model(model, x, k):
    with pytest.raises(ValueError, match=r"label: a label in \[0, 3\)"):
        run(label(model, k), x)


@pytest.mark.parametrize("method", ["gradient", "occlusion", "integrated_gradients"])
def test_a_contrast_is_the_difference_of_two_maps(model, x, method):
    difference = contrast(model, 2, 0)
    torch.testing.assert_close(difference(x), (model(x)[:, 2] - model(x)[:, 0])[:, None])
    expected = attribute(model, x, 2, method) - attribute(model, x, 0, method)
    torch.testing.assert_close(attribute(difference, x, 1, method), expected)


@pytest.mark.parametrize("pair", [(0, 0), (0, 3), (-1, 2)])
def test_a_contrast_needs_two_classes(model, x, pair):
    with pytest.raises(ValueError, match=r"contrast: two different classes in \[0, 3\)"):
        contrast(model, *pair, of=3)
    with pytest.raises(ValueError, match="contrast: two different classes"):
        run(contrast(model, *pair), x)


ADAPTERS = {
    "logits": logits,
    "two_classes": lambda model: two_classes(lambda x: model(x)[:, 0]),
    "label": lambda model: label(model, 1),
    "contrast": lambda model: contrast(model, 0, 1),
}


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "two_classes"])
def test_a_wrapped_model_is_still_seen(model, x, name):
    """Its layers have names, its parameters are shared, copies and moves take it along."""
    wrapped = ADAPTERS[name](model)
    assert not any(part.training for part in wrapped.modules())
    assert [id(p) for p in wrapped.parameters()] == [id(p) for p in model.parameters()]
    assert list(wrapped.state_dict()) == [f"model.{key}" for key in model.state_dict()]
    with capture_outputs(wrapped, "model.2") as outputs:
        wrapped(x)
    assert outputs["model.2"].shape == (5, 4, 6, 6)
    copied = copy.deepcopy(wrapped).float()
    torch.testing.assert_close(copied(x.float()).double(), wrapped(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(prepare(wrapped)(x), wrapped(x))
    assert attribute(wrapped, x, 1, "grad_cam").shape == (5, 1, 6, 6)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_wrapper_keeps_the_mode_and_the_random_numbers(model, x, name):
    state = torch.get_rng_state()
    model.train()
    wrapped = ADAPTERS[name](model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    if name == "two_classes":  # behind a function nobody sees the mode
        return
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(wrapped, x, 1, "gradient")
    assert attribute(wrapped.eval(), x, 1, "gradient").shape == x.shape


def test_the_module_behind_a_partial_call_is_seen(model, x):
    """Its mode, its parameters and its layers, in a deep copy too."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x, scale):
            return {"logits": scale * self.net(x)}

    scaled = Scaled().eval()
    wrapped = logits(functools.partial(scaled, scale=2.0))
    assert "network.net.0" in dict(wrapped.named_modules())
    torch.testing.assert_close(copy.deepcopy(wrapped)(x), 2 * model(x))
    scaled.train()
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(wrapped, x, 1, "gradient")


def test_adapters_stand_behind_one_another(model, x):
    output = Output(model, lambda out: (out, out.flatten()))
    torch.testing.assert_close(two_classes(label(logits(output, key=0), 1))(x)[:, 1], model(x)[:, 1] / 2)
