"""Pictures in the colours in which a person knows them, and what to do about those that are not."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from xnb.check import require
from xnb.plot.pictures import OVERSHOOT
from xnb.types import Batch

Numbers: TypeAlias = float | Sequence[float]  # one, or one a channel
_NORMALISED = "x = xnb.widgets.colours.restore_colours(x, mean, std); model = xnb.adapters.normalise(model, mean, std)"


def restore_colours(x: Batch, mean: Numbers, std: Numbers) -> Batch:
    """Pictures as they were before they were normalised, `x * std + mean`."""
    return x * _one_a_channel(std, x) + _one_a_channel(mean, x)


def normalise_colours(x: Batch, mean: Numbers, std: Numbers) -> Batch:
    """Pictures in [0, 1] as a model wants them, `(x - mean) / std`."""
    return (x - _one_a_channel(mean, x)) / _one_a_channel(std, x)


def _one_a_channel(numbers: Numbers, x: Batch) -> Float[Tensor, "#C 1 1"]:
    """The numbers as a tensor that broadcasts against pictures."""
    values = torch.as_tensor(numbers, dtype=x.dtype, device=x.device).flatten()
    C = x.shape[-3]
    rule = f"widgets: mean and std are one number, or one for each of {C} channels"
    require(len(values) in (1, C), rule, numbers, f"mean={[0.5] * C}, std={[0.25] * C}")
    return values[:, None, None]


def check_colours(x: Batch, mean: Numbers, std: Numbers) -> None:
    """Refuse pictures whose colours would not be theirs, as nobody can guess what they were.

    Pictures of other than 1 or 3 channels have no colours of their own; they are shown in grey.
    """
    if x.shape[1] not in (1, 3):
        return
    low, high = (float(end) for end in restore_colours(x, mean, std).aminmax())
    in_range = low >= -OVERSHOOT and high <= 1 + OVERSHOOT
    bytes_like = low >= 0 and 10 < high <= 255
    hint = "xnb.widgets.explore(model, x / 255)" if bytes_like else _NORMALISED
    require(in_range, "widgets: pictures lie in [0, 1]", f"from {low:.3g} to {high:.3g}", hint)


def to_picture(x: Float[Tensor, "C H W"]) -> Float[Tensor, "c H W"]:
    """A picture that can be drawn: other than 1 or 3 channels become their mean, from black to white."""
    if len(x) in (1, 3):
        return x.clamp(0, 1)
    grey = x.mean(0, keepdim=True)
    low, high = grey.aminmax()
    return (grey - low) / (high - low).clamp(min=1e-12)
