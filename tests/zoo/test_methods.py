"""Every method on every network: equal to a reference written independently, or a refusal with a way out."""

import pytest
import references
import torch
from zoo import LAST, ZOO, build_model, explain_or_refuse, explain_slowly, list_scorers

from xnb import METHODS, attribute
from xnb.access.copies import copy_module

every_kind = pytest.mark.parametrize("kind", ZOO)


def test_the_zoo_is_large():
    assert len(ZOO) >= 60


@pytest.mark.parametrize("name", sorted(METHODS))
@every_kind
def test_a_map_is_finite_and_knows_no_other_row(kind, name):
    together = explain_or_refuse(kind, name)
    if together is None:
        return
    x = ZOO[kind].inputs()
    if name not in references.CAMS:  # they stay at the resolution of their layer here
        assert torch.broadcast_shapes(together.shape, x.shape) == x.shape
    assert together.isfinite().all()
    assert together.dtype == x.dtype
    torch.testing.assert_close(together[2:], explain_or_refuse(kind, name, LAST), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", references.METHODS)
@every_kind
def test_a_map_is_that_of_the_reference(kind, name):
    found = explain_or_refuse(kind, name)
    if found is None:
        return
    expected = explain_slowly(kind, name)
    torch.testing.assert_close(found.expand_as(expected), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", references.CAMS)
@pytest.mark.parametrize("kind", [kind for kind, animal in ZOO.items() if animal.layer])
def test_a_class_activation_map_is_that_of_the_last_layer_with_places(kind, name):
    animal = ZOO[kind]
    found = explain_or_refuse(kind, name)
    assert found is not None
    maps, back = references.maps_and_slope(build_model(kind), animal.inputs(), animal.target(), animal)
    expected = torch.stack([references.CAMS[name](*pair) for pair in zip(maps, back, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind, animal in ZOO.items() if animal.homogeneous])
def test_relevance_without_biases_is_input_times_gradient(kind):
    """The epsilon rule on piecewise linear networks without biases (Ancona et al. 2018, arXiv:1711.06104)."""
    animal = ZOO[kind]
    found = attribute(build_model(kind), animal.inputs(), animal.target(), "lrp", composite="epsilon")
    torch.testing.assert_close(found, explain_slowly(kind, "gradient_times_input"), rtol=1e-3, atol=1e-5)


@every_kind
def test_differences_from_a_reference_add_up(kind):
    """DeepLIFT promises f(x) - f(0), whatever lies between."""
    found = explain_or_refuse(kind, "deep_lift")
    if found is None:
        return
    x = ZOO[kind].inputs()
    pairs = zip(list_scorers(kind), x, strict=True)
    change = torch.stack([score(z) - score(torch.zeros_like(z)) for score, z in pairs])
    torch.testing.assert_close(found.expand_as(x).flatten(1).sum(1), change.detach(), rtol=1e-6, atol=1e-8)


@every_kind
def test_single_precision_is_double_precision_rounded(kind):
    """What a method holds against itself, that shares add up, refuses nothing which is right but for rounding."""
    exact = explain_or_refuse(kind, "deep_lift")
    if exact is None:
        return
    animal = ZOO[kind]
    net, x = copy_module(build_model(kind)).float(), animal.inputs().float()
    found = attribute(net, x, animal.target(), "deep_lift").double()
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
