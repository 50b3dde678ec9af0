"""Further inputs follow their rows through every method, and normalisation leaves pictures pictures.

Tests: xnb.adapters.inputs
"""

import copy
import functools
from inspect import signature
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import transforms
from torchvision.models import ResNet18_Weights

from xnb import METHODS, attribute, attribute_all, prepare
from xnb.access.score import logits as run
from xnb.adapters import normalise, with_inputs

# These read three stages (tokens, blocks, readout) of a model, or a linear head right behind the attention.
OF_ONE_INPUT = {"legrad", "attcat", "token_cam", "token_occlusion", "leave_one_out"}
POWERS = {"random": 0, "vargrad": 2}  # of s in the map of s times the logits; elsewhere 1


class Scaled(nn.Module):
    """A network whose logits are multiplied by a number that comes with each input."""

    def __init__(self, model):
        super().__init__()
        self.net = model
        self.eval()

    def forward(self, x, scale, offset=None):
        out = self.net(x) * scale[:, None]
        return {"logits": out if offset is None else out + offset}


@pytest.fixture
def scale():
    return torch.tensor([1.0, 2.0, 0.5, 4.0, 8.0], dtype=torch.double)


def knobs_of(name):
    """Knobs that make a method short."""
    known = signature(METHODS[name]).parameters
    little = {"steps": 4, "samples": 8, "window": 3}
    return {key: value for key, value in little.items() if key in known}


@pytest.mark.parametrize("name", [name for name in METHODS if name not in OF_ONE_INPUT])
def test_each_method_gives_each_input_its_own_row(model, x, target, scale, name):
    """An input explained in a batch, in chunks of two, has the map of its own: that of s times its logits."""
    knobs = knobs_of(name)
    explained = with_inputs(Scaled(model), scale=scale)
    if "seed" in signature(METHODS[name]).parameters:  # draws belong to a batch, so all are compared within one
        found = attribute(explained, x, target, name, **knobs)
        factor = scale.view(5, 1, 1, 1) ** POWERS.get(name, 1)
        torch.testing.assert_close(found, attribute(model, x, target, name, **knobs) * factor)
        return
    found = attribute(explained, x, target, name, **knobs)
    for i in range(5):
        alone = with_inputs(Scaled(model), scale=scale[i : i + 1])
        expected = attribute(alone, x[i : i + 1], target[i : i + 1], name, **knobs)
        torch.testing.assert_close(found[i : i + 1], expected)


def test_every_class_gets_each_input_its_own_row(model, x, scale):
    found = attribute_all(with_inputs(Scaled(model), scale=scale), x, "gradient")
    torch.testing.assert_close(found, attribute_all(model, x, "gradient") * scale.view(5, 1, 1, 1, 1))


def test_further_inputs_by_place_by_name_and_without_rows(model, x):
    """Called as `model(x, *extras, **named)`; a single row serves all, and a number, None or a flag is handed on."""

    def function(x, first, second, *, third, fourth, flag):
        assert flag is None
        return model(x) * first[:, None] + second * third + fourth

    first, third = torch.arange(5.0), torch.arange(15.0).view(5, 3)
    net = with_inputs(function, first, 2, third=third, fourth=np.ones((1, 3)), flag=None)
    torch.testing.assert_close(net(x), model(x) * first[:, None] + 2 * third + 1)


def test_the_other_input_can_be_explained(model, x, scale, target):
    """The score is s times the logit, so the gradient with respect to s is the logit."""
    net = with_inputs(Scaled(model), x=x, explained="scale")
    expected = model(x).gather(1, target[:, None]).squeeze(1)
    torch.testing.assert_close(attribute(net, scale, target, "gradient"), expected)


def test_rows_that_are_not_those_of_the_batch_are_refused(model, x, scale, target):
    for rows in (scale[:3], torch.cat([scale, scale])):
        with pytest.raises(ValueError, match=r"scale: must have one row an input"):
            attribute(with_inputs(Scaled(model), scale=rows), x, target, "gradient")


def test_a_model_with_inputs_is_still_seen(model, x, scale, target):
    """Layers have names, further inputs move with the model and are no weights, copies are whole."""
    net = with_inputs(Scaled(model), scale=scale)
    assert list(net.state_dict()) == [f"model.net.{key}" for key in model.state_dict()]
    assert net.extra_scale.data_ptr() == scale.data_ptr()
    found = attribute(net, x, target, "grad_cam", layer="model.net.3")
    expected = attribute(model, x, target, "grad_cam", layer="3")
    torch.testing.assert_close(found, expected * scale.view(5, 1, 1, 1))
    halved = copy.deepcopy(net).float()
    assert halved.extra_scale.dtype == torch.float
    torch.testing.assert_close(halved(x.float()).double(), net(x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(with_inputs(Scaled(model).train(), scale=scale), x, target, "gradient")


def test_a_replica_of_data_parallel_is_refused(model, x, scale):
    net = with_inputs(Scaled(model), scale=scale)
    net._is_replica = True
    with pytest.raises(ValueError, match="a replica does not know"):
        run(net, x)


@pytest.mark.parametrize("name", ["mean", "one for each channel"])
def test_normalisation_is_the_first_step(model, x, name):
    """(x - mean) / std in the precision of x; its gradient is that of the model behind it over std."""
    mean, std = {"mean": (0.5, 0.25), "one for each channel": ([0.4, 0.6], [0.2, 0.3])}[name]
    columns = [torch.tensor(values, dtype=torch.double).view(1, -1, 1, 1) for values in (mean, std)]
    net = normalise(model, mean, std)
    normal = (x - columns[0]) / columns[1]
    torch.testing.assert_close(net(x), model(normal), rtol=1e-14, atol=1e-14)
    expected = attribute(model, normal, 1, "gradient") / columns[1]
    torch.testing.assert_close(attribute(net, x, 1, "gradient"), expected)
    assert attribute(net, x, 1, "lrp").shape == x.shape
    assert attribute(net, x, 1, "grad_cam", layer="model.3").shape == (5, 1, 6, 6)
    torch.testing.assert_close(prepare(net)(x), net(x))


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SOURCES = {
    "transform": transforms.Normalize(MEAN, STD),
    "transforms": transforms.Compose([transforms.Resize(8), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]),
    "weights": ResNet18_Weights.IMAGENET1K_V1.transforms(),
    "configuration": {"mean": MEAN, "std": STD, "input_size": (3, 224, 224)},
    "processor": SimpleNamespace(image_mean=list(MEAN), image_std=list(STD)),
    "tensors": (torch.tensor(MEAN), torch.tensor(STD)),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 7), (2, 3, 4, 4), (2, 3, 2, 4, 4)])
def test_mean_and_deviation_are_read_from_what_knows_them(source, shape):
    """Of ones: (1 - mean) / std of each channel, whatever stands behind the channels."""
    given = SOURCES[source]
    net = normalise(nn.Identity().eval(), *(given if source == "tensors" else (given,)))
    expected = [(1 - mean) / std for mean, std in zip(MEAN, STD, strict=True)]
    found = net(torch.ones(shape)).flatten(2).transpose(1, 2) if len(shape) > 2 else net(torch.ones(shape))
    torch.testing.assert_close(found, torch.tensor(expected).expand(found.shape), rtol=1e-5, atol=1e-5)


def test_what_knows_no_mean_is_refused(model, x):
    with pytest.raises(ValueError, match="what knows both"):
        normalise(model, transforms.Compose([transforms.ToTensor()]))
    with pytest.raises(ValueError, match="one for each of 2 channels"):
        run(normalise(model, MEAN, STD), x)
    with pytest.raises(ValueError, match="must be positive"):
        normalise(model, 0.5, 0)


def test_a_function_can_be_normalised(model, x):
    net = normalise(functools.partial(model), 0.5, 0.25)
    torch.testing.assert_close(net(x), model((x - 0.5) / 0.25))
    model.train()
    with pytest.raises(ValueError, match="evaluation mode"):
        run(normalise(model, 0.5, 0.25), x)
