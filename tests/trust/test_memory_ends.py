"""Memory ends in the middle of a pass: the model is as it was, and the same call afterwards gives the same numbers."""

import math

import pytest
import torch
from torch import nn

import xnb
from xnb.data import Part

METHODS = ("gradient", "occlusion", "grad_cam", "lrp", "guided_backprop", "deep_lift", "rise")


class Hungry(nn.Module):
    """Hands its input on, until there is no memory."""

    def __init__(self):
        super().__init__()
        self.calls_left = math.inf

    def forward(self, x):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise MemoryError("no room for activations")
        return x.clone()


@pytest.fixture
def hungry(model):
    return nn.Sequential(*model[:2], Hungry(), *model[2:]).eval()


def describe(model):
    """All that a call might leave on a model."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modules = {
        name: (module.training, [len(value) for key, value in vars(module).items() if key.endswith("_hooks")])
        for name, module in model.named_modules()
    }
    gradients = {name: (value.requires_grad, value.grad) for name, value in model.named_parameters()}
    return state, modules, gradients


def require_same(before, after):
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name])
    assert before[1:] == after[1:]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_leaves_the_model_as_it_was(hungry, x, target, method, tally):
    expected = xnb.attribute(hungry, x, target, method)
    before = describe(hungry)
    for step in range(40):
        hungry[2].calls_left = step
        try:
            again = xnb.attribute(hungry, x, target, method)
        except MemoryError as error:
            assert "no room for activations" in str(error)  # noqa: PT017 - a run without an error ends the loop
            tally("faults of disk and memory")
        else:
            assert torch.equal(again, expected)
            break
        require_same(before, describe(hungry))
        hungry[2].calls_left = math.inf
        assert torch.equal(xnb.attribute(hungry, x, target, method), expected)
    assert step > 0


class TestCompare:
    def compare(self, model, x, target, path):
        part = Part(x[:2], target[:2])
        return xnb.compare(model, part, ["gradient"], ["insertion"], path=path, batch=1, target=target[:2])

    def test_ends_and_goes_on(self, hungry, x, target, tmp_path, tally):
        whole = self.compare(hungry, x, target, tmp_path / "whole.parquet")
        assert whole["error"].isna().all()
        before = describe(hungry)
        path = tmp_path / "c.parquet"
        kept = []
        for step in (6, 6, 6):  # what was stored before is not asked for again, so that each call comes further
            hungry[2].calls_left = step
            with pytest.raises(MemoryError, match=r"memory must suffice for one input.*\n  got: .*no room"):
                self.compare(hungry, x, target, path)
            require_same(before, describe(hungry))
            tally("faults of disk and memory")
            assert not path.exists()
            kept.append(sum(part.read_bytes().count(b"\n") for part in tmp_path.glob("c.parts/*")))
        assert kept == sorted(kept)
        hungry[2].calls_left = math.inf
        again = self.compare(hungry, x, target, path)
        assert again["value"].equals(whole["value"])
        assert path.read_bytes() == (tmp_path / "whole.parquet").read_bytes()

    def test_several_inputs_are_tried_one_by_one(self, model, x, target):
        """Two inputs are too much, one is not: no cell lacks its value."""

        def wide(model, x, target):
            if len(x) > 1:
                raise torch.OutOfMemoryError("two are too many")
            return x

        table = xnb.compare(model, Part(x, target), {"wide": wide}, ["insertion"], target=target)
        assert table["error"].isna().all()
