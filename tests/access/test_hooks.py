import pytest
import torch

from xnb.access.hooks import capture_outputs, find_module, watch_calls


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


def test_watched_calls_come_in_order_and_may_be_answered_otherwise(model, x):
    calls = []

    def before(name, module, args):
        calls.append(("before", name))
        return (2 * args[0],) if name == "0" else None

    def after(name, module, args, out):
        calls.append(("after", name))
        return -out if name == "" else None

    with torch.no_grad():
        expected = -model(2 * x)
        with watch_calls(model, before, after):
            torch.testing.assert_close(model(x), expected)
        assert calls[:3] == [("before", ""), ("before", "0"), ("after", "0")]
        assert calls[-1] == ("after", "")
        count = len(calls)
        torch.testing.assert_close(model(x), -expected / 2)  # no bias: twice the input is twice the score
    assert len(calls) == count
