"""Weights and inputs of PyTorch as those of Keras: numpy alone, so that both environments can run it.

What has to be turned, and what goes wrong where it is not:

| | PyTorch | Keras |
|---|---|---|
| pictures | B C H W | B H W C |
| kernel of a convolution | out, in, height, width | height, width, in, out |
| kernel of a linear layer | out, in | in, out |
| values after flattening | by channel, then place | by place, then channel |
| padding of a stride | the same on both sides | "same" puts more at the end |
| epsilon of batch norm | 1e-5 | 1e-3 by default |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

State = Mapping[str, np.ndarray]
Weights = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Conversion:
    """How a network is carried over. The defaults are right.

    Attributes:
        padding: "explicit" zeros on both sides, as PyTorch has them, or Keras' own "same".
        epsilon: added to the variance by batch norm.
        flatten: whether the head's weights follow the order in which Keras flattens.
        pictures: "moved" axes, axes that are only renamed ("reshaped"), or moved with "bgr" for RGB.
    """

    padding: Literal["explicit", "same"] = "explicit"
    epsilon: float = 1e-5
    flatten: Literal["by place", "by channel"] = "by place"
    pictures: Literal["moved", "reshaped", "bgr"] = "moved"


MISTAKES = {
    "batch norm with 1e-3": Conversion(epsilon=1e-3),
    "padding of strides by 'same'": Conversion(padding="same"),
    "blue, green, red": Conversion(pictures="bgr"),
    "head in the order of channels": Conversion(flatten="by channel"),
    "pictures reshaped, not moved": Conversion(pictures="reshaped"),
}


def convert_conv(kernel: np.ndarray) -> np.ndarray:
    """Kernel (out, in, height, width) as (height, width, in, out)."""
    return kernel.transpose(2, 3, 1, 0)


def convert_flat_linear(weight: np.ndarray, channels: int, conversion: Conversion) -> np.ndarray:
    """Weight (out, channels * places) behind a flattening as (places * channels, out)."""
    if conversion.flatten == "by channel":
        return weight.T
    side = round((weight.shape[1] / channels) ** 0.5)
    by_channel = weight.reshape(-1, channels, side, side)
    return by_channel.transpose(2, 3, 1, 0).reshape(-1, len(weight))


def convert_mlp(state: State) -> Weights:
    """Weights of the fully connected network by layer, in the order of `layer.set_weights`."""
    names = ("hidden1", "hidden2", "head")
    return {name: [state[f"{name}.weight"].T, state[f"{name}.bias"]] for name in names}


def convert_cnn(state: State, conversion: Conversion) -> Weights:
    """Weights of the convolutional network by layer, in the order of `layer.set_weights`."""
    weights = {}
    for number in (1, 2, 3):
        weights[f"conv{number}"] = [convert_conv(state[f"conv{number}.weight"])]
        parts = ("weight", "bias", "running_mean", "running_var")
        weights[f"norm{number}"] = [state[f"norm{number}.{part}"] for part in parts]
    head = convert_flat_linear(state["head.weight"], len(state["conv3.weight"]), conversion)
    weights["head"] = [head, state["head.bias"]]
    return weights


def convert_pictures(x: np.ndarray, conversion: Conversion) -> np.ndarray:
    """Pictures (B, C, H, W) as (B, H, W, C)."""
    if conversion.pictures == "reshaped":
        count, channels, height, width = x.shape
        return x.reshape(count, height, width, channels)
    moved = x.transpose(0, 2, 3, 1)
    return moved[..., ::-1].copy() if conversion.pictures == "bgr" else moved


def restore_pictures(maps: np.ndarray, conversion: Conversion) -> np.ndarray:
    """Maps (B, H, W, C) as (B, C, H, W), back the way that the pictures came."""
    if conversion.pictures == "reshaped":
        count, height, width, channels = maps.shape
        return maps.reshape(count, channels, height, width)
    ordered = maps[..., ::-1] if conversion.pictures == "bgr" else maps
    return ordered.transpose(0, 3, 1, 2)
