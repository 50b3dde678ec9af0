"""Guided backpropagation and the deconvolutional network, by hand and beside Captum.

Slow twins: guided_backprop, deconvnet
"""

import pytest
import torch
from rule_networks import Functional, Modules, ask_captum, chain, randomise
from torch import nn
from torch.nn import functional as F

from xnb import attribute


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_backward_through_a_chain_by_hand(name, model, x, target):
    inputs = [x]
    for layer in model:
        inputs.append(layer(inputs[-1]))
    back = F.one_hot(target, 3).to(x)
    for layer, value in zip(reversed(model), reversed(inputs[:-1]), strict=True):
        if isinstance(layer, nn.ReLU):
            gate = (value > 0) if name == "guided_backprop" else 1
            back = back.clamp(min=0) * gate
        else:
            back = torch.autograd.functional.vjp(layer, value, back)[1]
    torch.testing.assert_close(attribute(model, x, target, name), back.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [chain, Modules])
@pytest.mark.parametrize(("name", "kind"), [("guided_backprop", "GuidedBackprop"), ("deconvnet", "Deconvolution")])
def test_captum(name, kind, make, pictures, classes):
    model = randomise(make())
    theirs = ask_captum(kind, model, pictures, classes)
    ours = attribute(model, pictures, classes, name)
    assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()


def test_where_hooks_on_modules_see_nothing_captum_answers_with_the_gradient(pictures, classes):
    modules = randomise(Modules())
    functional = Functional().double().eval()
    functional.load_state_dict(modules.state_dict())
    gradient = attribute(modules, pictures, classes, "gradient")
    assert torch.equal(ask_captum("GuidedBackprop", functional, pictures, classes), gradient)
