"""Pictures, arrays and tensors reach a network scaled as in its training, and come back."""

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torchvision.models import ResNet18_Weights, ViT_B_16_Weights

from xnb.models import FASTNET, Preprocess


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
