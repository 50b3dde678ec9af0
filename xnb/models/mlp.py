"""The article's network: two hidden layers."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from xnb.check import require
from xnb.types import Batch, Logits


class Net(nn.Sequential):
    """Fully connected network on flattened inputs, with its activations as modules.

    37,002 parameters at its defaults: 10 -> 256 -> 128 -> 10.

    Args:
        in_features: values of one input, whatever their shape: 64 for an 8 x 8 digit, 3,072 for 3 x 32 x 32.
        hidden: widths of the hidden layers.
        classes: number of logits.

    Raises:
        ValueError: called on inputs that do not hold `in_features` values.
    """

    def __init__(
        self,
        in_features: int = 10,
        hidden: tuple[int, ...] = (256, 128),
        classes: int = 10,
    ) -> None:
        widths = (in_features, *hidden)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            layers[f"linear{i}"] = nn.Linear(before, after)
            layers[f"relu{i}"] = nn.ReLU()
        layers["head"] = nn.Linear(widths[-1], classes)
        super().__init__(layers)
        self.in_features = in_features

    def forward(self, x: Batch) -> Logits:
        values = x.shape[1:].numel()
        is_one_input = x.numel() == self.in_features != values
        require(not is_one_input, "Net: x must have a batch axis (B, ...)", x, "x = x[None]")
        hint = f"Net(in_features={values})"
        rule = f"Net: an input must hold {self.in_features} values"
        require(values == self.in_features, rule, x, hint)
        return super().forward(x)
