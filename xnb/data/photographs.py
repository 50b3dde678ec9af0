"""Colour photographs that scikit-image and scikit-learn ship."""

import torch
from skimage import data
from sklearn.datasets import load_sample_image
from torchvision.transforms.v2 import functional as T

from xnb.check import require
from xnb.data.split import Part, Split

PHOTOS = {
    "astronaut": data.astronaut,
    "cat": data.chelsea,
    "coffee": data.coffee,
    "rocket": data.rocket,
    "palace": lambda: load_sample_image("china.jpg"),
    "flower": lambda: load_sample_image("flower.jpg"),
}


def photos(size: int = 256) -> Split:
    """Six photographs `(6, 3, size, size)` in [0, 1]: short side resized, then the middle cut out.

    There is nothing to train on: the training part is empty. The classes say what the pictures show; where ImageNet
    has no such class (astronaut), no network trained on it can be right.

    Args:
        size: side in pixels, at most 300 without enlarging.

    Raises:
        ValueError: `size` below 1.
    """
    require(size > 0, "photos: size must be at least 1 pixel", size, "size=256")
    framed = []
    for load in PHOTOS.values():
        picture = T.to_image(load().copy())  # a copy, as some arrays are read-only
        resized = T.resize(picture, [size], antialias=True)
        framed.append(T.center_crop(resized, [size, size]).as_subclass(torch.Tensor))
    x = T.to_dtype(torch.stack(framed), torch.float32, scale=True)
    test = Part(x, torch.arange(len(x)))
    return Split(test[:0], test, tuple(PHOTOS))
