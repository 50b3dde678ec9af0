"""From a photograph to what a network was trained on: resize, centre crop, normalise."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL.Image import Image, fromarray
from torch import Tensor
from torchvision.models import WeightsEnum
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as T

from xnb.check import require

Triple = tuple[float, float, float]
AnyPicture = TypeVar("AnyPicture", Image, Tensor)


@dataclass(frozen=True)
class Preprocess:
    r"""The short side to `resize`, the middle `crop` x `crop`, then :math:`(x - \mathrm{mean}) / \mathrm{std}`.

    A network knows only pictures scaled as in its training. Another scaling raises no error, it only
    makes the predictions worse.
    """

    resize: int
    crop: int
    mean: Triple
    std: Triple
    interpolation: InterpolationMode = InterpolationMode.BILINEAR

    @classmethod
    def of(cls, weights: WeightsEnum) -> "Preprocess":
        """The preprocessing that torchvision publishes with its weights, e.g. `ResNet18_Weights.IMAGENET1K_V1`."""
        published = weights.transforms()
        resize = published.resize_size[0]
        crop = published.crop_size[0]
        mean = tuple(published.mean)
        std = tuple(published.std)
        return cls(resize, crop, mean, std, published.interpolation)

    def __call__(
        self, picture: Image | UInt8[np.ndarray, "H W 3"] | Float[Tensor, "*B 3 H W"]
    ) -> Float[Tensor, "... 3 h w"]:
        """The input `(1 or B, 3, crop, crop)` made of a PIL picture, its bytes as an array, or tensors in [0, 1].

        Raises:
            ValueError: a tensor that is not floating point in [0, 1], or an array that is not bytes `(H, W, 3)`.
        """
        if isinstance(picture, Tensor):
            in_range = (picture >= 0) & (picture <= 1)
            fits = picture.is_floating_point() and bool(in_range.all())
            require(fits, "Preprocess: a tensor holds numbers in [0, 1]", picture, "picture.float() / 255")
            batch = picture if picture.ndim == 4 else picture[None]
            return self._normalise(self._resize_and_crop(batch))
        cropped = self._resize_and_crop(_convert_to_rgb(picture))
        x = T.to_dtype(T.pil_to_tensor(cropped), torch.float32, scale=True)
        return self._normalise(x[None])

    def _resize_and_crop(self, picture: AnyPicture) -> AnyPicture:
        resized = T.resize(picture, [self.resize], interpolation=self.interpolation, antialias=True)
        return T.center_crop(resized, [self.crop, self.crop])

    def _normalise(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return T.normalize(x, list(self.mean), list(self.std))

    def invert(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """The pictures in [0, 1] again, for display; values that bicubic resizing pushed out are cut off."""
        mean = x.new_tensor(self.mean)[:, None, None]
        std = x.new_tensor(self.std)[:, None, None]
        return (x * std + mean).clamp(0, 1)


def _convert_to_rgb(picture: Image | np.ndarray) -> Image:
    if isinstance(picture, np.ndarray):
        is_rgb = picture.ndim == 3 and picture.shape[2] == 3
        fits = is_rgb and picture.dtype == np.uint8
        got = (picture.dtype, picture.shape)
        require(fits, "Preprocess: an array holds bytes (H, W, 3)", got, "np.uint8(255 * a)")
        return fromarray(picture)
    return picture.convert("RGB")


# FastNet was trained on (pixel - 127) / 128 with pixels in 0..255
FASTNET = Preprocess(256, 224, (127 / 255,) * 3, (128 / 255,) * 3, InterpolationMode.BICUBIC)
# mean and deviation of the ImageNet training pictures, what most other ImageNet networks expect
IMAGENET = Preprocess(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), InterpolationMode.BICUBIC)
