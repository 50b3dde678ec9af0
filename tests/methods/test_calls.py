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
