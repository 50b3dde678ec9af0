from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet18_Weights, ViT_B_16_Weights

from xnb import attribute, folders
from xnb.access.hooks import capture_outputs
from xnb.access.score import logits
from xnb.models import FASTNET, IMAGENET, IMAGENET_CLASSES, FastNet, Net, Preprocess, SmallCNN, ViT
from xnb.models.layers import Add, PadSame
from xnb.summary import count_parameters

SAMPLES = folders.ROOT.parent / "shared" / "data" / "imagenet"


@pytest.fixture(scope="module")
def fastnet():
    return FastNet.pretrained()


def test_parameter_counts():
    assert count_parameters(Net()) == (10 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10 == 37_002
    assert count_parameters(SmallCNN()) == 121_562
    assert count_parameters(SmallCNN()) < 150_000
    assert count_parameters(FastNet()) == 4_652_008


def test_waves_make_neighbours_start_alike():
    start = ViT(width=48, registers=2, waves=0.2).positions.positions[0, 3:]
    alike = torch.cdist(start, start).unflatten(0, (8, 8)).unflatten(2, (8, 8))
    torch.testing.assert_close(start.norm(dim=1), torch.full((64,), 0.2 * 24**0.5))  # 24 pairs of sine and cosine
    assert alike[3, 3, 3, 4] < alike[3, 3, 3, 6] < alike[3, 3, 6, 6]
    torch.testing.assert_close(alike[2, 3, 2, 5], alike[3, 2, 5, 2])  # rows and columns are told alike
    assert alike.flatten(0, 1).flatten(1).add(torch.eye(64)).min() > 0.05  # and no two places are the same
    with pytest.raises(ValueError, match="waves=0"):
        ViT(width=42, heads=2, waves=0.2)


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


@pytest.mark.parametrize(
    ("photo", "expected"),
    [("chelsea", {281, 282, 285}), ("coffee", {967, 968, 504}), ("rocket", {657, 744})],
)
def test_fastnet_knows_real_photographs(photo, expected, fastnet):
    """The cat is a tabby, tiger or Egyptian cat; the coffee espresso, cup or mug; the rocket missile or projectile."""
    picture = Image.fromarray(getattr(skimage.data, photo)())
    assert int(logits(fastnet, FASTNET(picture)).argmax()) in expected
    assert all(IMAGENET_CLASSES[i] for i in expected)


def test_fastnet_depends_on_its_preprocessing(fastnet):
    """50 labelled ImageNet pictures; measured 86 % with the right scaling and 82 % with the usual one."""
    files = sorted(SAMPLES.glob("*.jpg"))
    if not files:
        pytest.skip("needs the 50 ImageNet sample pictures in ../shared/data/imagenet")
    truth = torch.tensor([int(file.name[:4]) for file in files])
    pictures = [Image.open(file) for file in files]

    def accuracy(preprocess):
        x = torch.cat([Preprocess(224, 224, preprocess.mean, preprocess.std)(picture) for picture in pictures])
        return float((logits(fastnet, x).argmax(1) == truth).double().mean())

    assert accuracy(FASTNET) >= 0.84 > accuracy(IMAGENET)


def test_fastnet_can_be_explained(fastnet):
    x = FASTNET(Image.fromarray(skimage.data.chelsea()))[:, :, :64, :64]
    a = attribute(fastnet, x, torch.tensor([285]), "gradient")
    assert a.shape == x.shape
    assert a.abs().sum() > 0


@pytest.mark.parametrize("weights", [ResNet18_Weights.IMAGENET1K_V1, ViT_B_16_Weights.IMAGENET1K_V1])
def test_preprocess_equals_torchvisions(weights):
    picture = Image.fromarray(skimage.data.coffee())
    torch.testing.assert_close(Preprocess.of(weights)(picture)[0], weights.transforms()(picture))


def test_preprocess_of_tensors_and_back():
    x = torch.rand(2, 3, 256, 256)
    out = FASTNET(x)
    assert out.shape == (2, 3, 224, 224)
    torch.testing.assert_close(out, (x[:, :, 16:-16, 16:-16] * 255 - 127) / 128)
    torch.testing.assert_close(FASTNET.invert(out), x[:, :, 16:-16, 16:-16])


def test_preprocess_takes_grey_and_transparent_pictures():
    for mode in ("L", "RGBA", "P"):
        assert FASTNET(Image.new(mode, (300, 280))).shape == (1, 3, 224, 224)


def test_preprocess_takes_bytes_as_the_picture_they_are():
    photo = skimage.data.coffee()
    assert torch.equal(FASTNET(photo), FASTNET(Image.fromarray(photo)))


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (torch.full((1, 3, 8, 8), 255.0), r"numbers in \[0, 1\]"),
        (torch.full((3, 8, 8), float("nan")), r"numbers in \[0, 1\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"got: uint8\[3,8,8\]"),
        (np.zeros((8, 8, 3)), r"holds bytes \(H, W, 3\)"),
        (np.zeros((3, 8, 8), np.uint8), r"holds bytes \(H, W, 3\)"),
    ],
)
def test_preprocess_refuses(picture, says):
    with pytest.raises(ValueError, match=says):
        FASTNET(picture)


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    wrong = tmp_path / "efficientnet.pth"
    wrong.write_bytes(b"not weights")
    monkeypatch.setattr("xnb.models.fastnet._find_weights", lambda: Path(wrong))
    with pytest.raises(ValueError, match=r"must be those of version 0\.1\.0"):
        FastNet.pretrained()
