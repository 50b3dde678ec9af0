"""What users of PyTorch write by hand is what `xnb` computes.

Tests: frameworks.train
"""

import pytest
import torch

import xnb
from frameworks import torch_side, train
from xnb import storage


@pytest.mark.parametrize(("name", "parameters", "accuracy"), [("mlp", 2778, 0.960), ("cnn", 6342, 0.894)])
def test_the_stored_networks_are_those_described(name, parameters, accuracy):
    """96.0 % of 500 digits, 89.4 % of 500 shapes."""
    net, part = torch_side.load(name), torch_side.load_inputs(name, 500)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert float((net(part.x).argmax(1) == part.y).float().mean()) == pytest.approx(accuracy, abs=0.003)
    facts = storage.read_tensors(torch_side.FOLDER / f"{name}.safetensors")[1]
    assert facts == {"accuracy": accuracy, "epochs": train.EPOCHS[name]}


def test_inputs_to_explain_are_the_first_of_the_test_part():
    assert torch.equal(torch_side.load_inputs("cnn", 4).x, torch_side.load_split("cnn").test.x[:4])


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_written_by_hand_as_by_xnb(name):
    net, part = torch_side.load(name).double(), torch_side.load_inputs(name, 3)
    x, y = part.x.double(), part.y
    torch.testing.assert_close(torch_side.gradient(net, x, y), xnb.attribute(net, x, y, "gradient"))
    baseline = torch_side.BASELINES[name]
    ours = xnb.attribute(net, x, y, "integrated_gradients", baseline=baseline, steps=16)
    torch.testing.assert_close(torch_side.integrated_gradients(net, x, y, baseline, 16), ours)


def test_grad_cam_by_hand_as_by_xnb_and_without_a_trace():
    net, part = torch_side.load("cnn"), torch_side.load_inputs("cnn", 3)
    ours = xnb.attribute(net, part.x, part.y, "grad_cam", layer="relu3")
    torch.testing.assert_close(torch_side.grad_cam(net, part.x, part.y).detach(), ours)
    assert not net.get_submodule("relu3")._forward_hooks
