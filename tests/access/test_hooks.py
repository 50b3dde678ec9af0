import pytest
import torch

from xnb.access.hooks import capture_outputs, find_module


def test_captures_what_the_layer_said(model, x):
    with torch.no_grad(), capture_outputs(model, "0", "3") as seen:
        model(x)
        assert torch.equal(seen["0"], model[0](x))
        assert torch.equal(seen["3"], model[:4](x))


def test_capture_is_on_the_graph(model, x):
    with capture_outputs(model, "2") as seen:
        out = model(x)
    assert torch.autograd.grad(out.sum(), seen["2"])[0].shape == (5, 4, 6, 6)


@pytest.mark.parametrize("names", [("0", "2", "nope"), ("0", "2")])
def test_failing_block_leaves_nothing(names, model):
    with pytest.raises((ValueError, KeyboardInterrupt)), capture_outputs(model, *names):
        raise KeyboardInterrupt
    assert all(not m._forward_hooks for m in model.modules())


def test_unknown_name_offers_the_nearest(model):
    with pytest.raises(ValueError, match=r"got: '7'\n  try: one of \['0', '1', '2', '3', '4'\]"):
        find_module(model, "7")
