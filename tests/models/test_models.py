"""The networks compute what is stated of them, and every operation in them is a module that a hook can reach.

Tests: xnb.models.mlp, xnb.models.cnn, xnb.models.layers
"""

import pydoc
from pathlib import Path

import pytest
import torch
from torch import nn

from xnb import attribute, models
from xnb.access.hooks import capture_outputs
from xnb.models import FastNet, FeatureTransformer, Net, SmallCNN
from xnb.models.layers import Add, PadSame, Standardise
from xnb.summary import count_parameters


def test_parameter_counts():
    assert count_parameters(Net()) == (10 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10 == 37_002
    assert count_parameters(SmallCNN()) == 121_562
    assert count_parameters(SmallCNN()) < 150_000
    assert count_parameters(FastNet()) == 4_652_008


def test_net_computes_the_articles_function():
    net, x = Net(), torch.randn(4, 10)
    h = torch.relu(x @ net.linear1.weight.T + net.linear1.bias)
    h = torch.relu(h @ net.linear2.weight.T + net.linear2.bias)
    torch.testing.assert_close(net(x), h @ net.head.weight.T + net.head.bias)


def test_net_takes_pictures_and_refuses_others():
    assert Net(64)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(
        ValueError, match=r"must hold 10 values\n  got: float32\[2,3,32,32\]\n  try: Net\(in_features=3072"
    ):
        Net()(torch.zeros(2, 3, 32, 32))


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Net(192), (3, 8, 8)),
        (lambda: Net(10), (10,)),
        (lambda: FeatureTransformer(7), (7,)),
        (lambda: nn.Sequential(Standardise((0.5, 0.4, 0.3), (0.1, 0.2, 0.3)), Net(192)), (3, 8, 8)),
    ],
)
def test_one_input_without_its_batch_axis_is_told_so(make, shape):
    net, x = make().eval(), torch.rand(shape)
    for call in (net, lambda x: attribute(net, x, 0, "gradient")):
        with pytest.raises(ValueError, match="must have a batch axis") as refusal:
            call(x)
        names = {"x": x}
        exec(str(refusal.value).split("try: ")[1], names)
        assert call(names["x"]).shape[0] == 1


def test_help_begins_with_the_signature_and_says_what_the_arguments_are():
    text = pydoc.plain(pydoc.render_doc(models.fastnet))
    assert text.index("FastNet(classes: int = 1000, dropout: float = 0.2)") < text.index("forward(")
    assert "classes: number of logits" in text
    assert "class ConvNorm" not in text
    assert "Define the computation performed at every call" not in text.split("inherited from torch")[0]


@pytest.mark.parametrize("name", [path.stem for path in Path(models.__path__[0]).glob("[a-z]*.py")])
def test_every_file_of_the_room_is_reached_by_its_name(name):
    assert getattr(models, name).__name__ == f"xnb.models.{name}"


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 8), (3, 33)])
def test_small_cnn_takes_any_side(channels, side):
    net = SmallCNN(channels, 7).eval()
    x = torch.zeros(2, channels, side, side)
    with capture_outputs(net, "stage3") as seen:
        assert net(x).shape == (2, 7)
    assert seen["stage3"].shape[2:] == (-(-side // 4), -(-side // 4))


@pytest.mark.parametrize("make", [SmallCNN, FastNet, Net])
def test_every_operation_is_a_module_used_once(make):
    net = make().eval()
    calls = []
    for module in net.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, args, out: calls.append(m))
    net(torch.zeros(1, 10) if make is Net else torch.zeros(1, 3, 64, 64))
    assert len(calls) == len(set(calls)) == len([m for m in net.modules() if not list(m.children())])
    assert not any(getattr(module, "inplace", False) for module in net.modules())


def test_residual_joins_go_through_add():
    assert sum(isinstance(m, Add) for m in SmallCNN().modules()) == 3
    assert sum(isinstance(m, Add) for m in FastNet().modules()) == 9


@pytest.mark.parametrize(("length", "kernel", "stride"), [(224, 3, 2), (7, 5, 2), (8, 3, 1), (15, 5, 2)])
def test_pad_same(length, kernel, stride):
    out = nn.functional.conv2d(
        PadSame(kernel, stride)(torch.ones(1, 1, length, length)), torch.ones(1, 1, kernel, kernel), stride=stride
    )
    assert out.shape[-1] == -(-length // stride)
    before, after = PadSame(kernel, stride).zeros(length)
    assert after - before in (0, 1)
