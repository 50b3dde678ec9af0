"""From a photograph to what a network was trained on: resize, centre crop, normalise."""

from dataclasses import dataclass

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
        t = weights.transforms()
        return cls(t.resize_size[0], t.crop_size[0], tuple(t.mean), tuple(t.std), t.interpolation)

    def __call__(
        self, picture: Image | UInt8[np.ndarray, "H W 3"] | Float[Tensor, "*B 3 H W"]
    ) -> Float[Tensor, "... 3 h w"]:
        """A PIL picture, its bytes as an array, or tensors in [0, 1], as `(1 or B, 3, crop, crop)`.

        Raises:
            ValueError: a tensor that is not floating point in [0, 1], or an array that is not bytes `(H, W, 3)`.
        """
        if isinstance(picture, Tensor):
            inside = picture.is_floating_point() and bool(((picture >= 0) & (picture <= 1)).all())
            require(inside, "Preprocess: a tensor holds numbers in [0, 1]", picture, "picture.float() / 255")
            return self._normalise(self._framed(picture if picture.ndim == 4 else picture[None]))
        framed = self._framed(_rgb(picture))
        return self._normalise(T.to_dtype(T.pil_to_tensor(framed), torch.float32, scale=True)[None])

    def _framed(self, picture: Image | Tensor) -> Image | Tensor:
        resized = T.resize(picture, [self.resize], interpolation=self.interpolation, antialias=True)
        return T.center_crop(resized, [self.crop, self.crop])

    def _normalise(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return T.normalize(x, list(self.mean), list(self.std))

    def invert(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Back to pictures in [0, 1], for display; what rounding or bicubic resizing pushed out is cut off."""
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (x * std + mean).clamp(0, 1)


def _rgb(picture: Image | np.ndarray) -> Image:
    if isinstance(picture, np.ndarray):
        fits = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        require(fits, "Preprocess: an array holds bytes (H, W, 3)", (picture.dtype, picture.shape), "np.uint8(255 * a)")
        return fromarray(picture)
    return picture.convert("RGB")


# FastNet was trained on (pixel - 127) / 128 with pixels in 0..255
FASTNET = Preprocess(256, 224, (127 / 255,) * 3, (128 / 255,) * 3, InterpolationMode.BICUBIC)
# mean and deviation of the ImageNet training pictures, what most other ImageNet networks expect
IMAGENET = Preprocess(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), InterpolationMode.BICUBIC)
