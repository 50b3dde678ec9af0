"""The Keras networks on PyTorch: a Keras model is then an `nn.Module`, which everything of `xnb` explains."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it once, when it is imported

import keras
import torch
from jaxtyping import Float
from torch import Tensor, nn

from frameworks.convert import Conversion
from frameworks.keras_networks import carry_over
from frameworks.torch_side import load as load_torch


class PicturesFirst(nn.Module):
    """A Keras model of pictures (B, H, W, C) as a module of pictures (B, C, H, W).

    Its layers are named modules again, `layers.relu3`: a model of Keras keeps them in a list, where no hook finds them.

    Args:
        model: the Keras model, on the backend "torch".
        pictures: how the axes of a picture are brought in Keras' order; see `Conversion`.
    """

    def __init__(self, model: keras.Model, pictures: str = "moved") -> None:
        super().__init__()
        self.model = model
        self.layers = nn.ModuleDict({layer.name: layer for layer in model.layers})
        self.pictures = pictures

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        if self.pictures == "reshaped":
            return self.model(x.reshape(len(x), *x.shape[2:], x.shape[1]))
        moved = x.permute(0, 2, 3, 1)
        return self.model(moved.flip(3) if self.pictures == "bgr" else moved)


def load(
    name: str,
    conversion: Conversion = Conversion(),  # noqa: B008 - frozen
    dtype: str = "float32",
) -> PicturesFirst:
    """The trained network of PyTorch, carried over to Keras on PyTorch, in evaluation mode."""
    with torch.random.fork_rng():  # both draw first weights, which are replaced
        state = {key: value.numpy() for key, value in load_torch(name).state_dict().items()}
        model = carry_over(name, state, conversion, dtype)
    return PicturesFirst(model, conversion.pictures).eval()
