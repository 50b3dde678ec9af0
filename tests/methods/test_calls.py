import pytest
import torch
from networks import Counted

from xnb import METHODS, attribute, attribute_all


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_class_equals_class_by_class(name, model, x):
    found = attribute_all(model, x, name)
    for k in range(3):
        expected = attribute(model, x, torch.full((5,), k), name)
        torch.testing.assert_close(found[:, k], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["occlusion", "feature_ablation", "kernel_shap", "rise"])
def test_forward_methods_ask_once_for_all_classes(name, model, x):
    one, all_of_them = Counted(model).eval(), Counted(model).eval()
    attribute(one, x, torch.tensor([0, 1, 2, 1, 0]), name)
    attribute_all(all_of_them, x, name)
    assert all_of_them.forwards <= 1.2 * one.forwards + 10


def test_equal_neighbours_are_two_inputs(model, x):
    twins = torch.stack([x[0], x[0], x[1]])
    found = attribute_all(model, twins, "occlusion")
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[2], attribute_all(model, x[1:2], "occlusion")[0])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_no_inputs_have_maps_of_the_shape_that_others_have(name, model, x, target):
    """So that the maps of several batches, one of them empty, can be joined."""
    empty = attribute(model, x[:0], target[:0], name)
    assert empty.shape == (0, *attribute(model, x[:1], target[:1], name).shape[1:])
    assert empty.dtype == x.dtype
    assert attribute_all(model, x[:0], name).shape == (0, 3, *empty.shape[1:])


def test_no_inputs_with_a_baseline_for_each_of_them(model, x, target):
    assert attribute(model, x[:0], target[:0], baseline=x[:0]).shape == (0, 2, 6, 6)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("call", [lambda *given: attribute(*given[:2], 0, *given[2:]), attribute_all])
def test_several_methods_and_unknown_knobs_are_refused(call, model, x):
    with pytest.raises(ValueError, match=r"one name, a string\n  got: \['gradient'"):
        call(model, x, ["gradient", "lrp"])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_an_unknown_knob_is_refused_by_every_method(name, model, x, target):
    with pytest.raises(ValueError, match=f"^{name}: (no knob of that name|has no knobs)\n  got: 'chunks'"):
        attribute(model, x, target, name, chunks=3)
    with pytest.raises(ValueError, match=f"^{name}: "):
        attribute_all(model, x, name, chunks=3)
