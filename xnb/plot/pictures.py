"""Pictures in [0, 1], drawn as they are."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import require
from xnb.plot.scale import drop_batch_axis, read_numbers

OVERSHOOT = 0.1  # bicubic resizing pushes edges so far out of [0, 1]; a normalised picture lies further out
_PER_CHANNEL = "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)"


def picture(
    x: ArrayLike | Tensor,
    ax: Axes,
    *,
    title: str = "",
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
) -> Axes:
    """Draw one picture: `(3, H, W)` or `(1, H, W)` in [0, 1], channels first as torch has them.

    Args:
        mean: and `std`, a number or one a channel, of a picture that was normalised: drawn is `x * std + mean`.

    Raises:
        ValueError: another shape, or values outside [0, 1] by more than the tenth that resizing may add, which is cut
            off.
    """
    image = np.moveaxis(read_picture(x, mean, std), 0, -1)
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return hide_axes(ax, title)


def read_picture(
    x: ArrayLike | Tensor, mean: Sequence[float] | float = 0.0, std: Sequence[float] | float = 1.0
) -> NDArray[np.float64]:
    """The picture `(C, H, W)` in [0, 1], with 1 or 3 channels, normalisation taken back."""
    image = drop_batch_axis(read_numbers(x, "a picture"), 3)
    coloured = image.ndim == 3 and image.shape[0] in (1, 3)
    require(coloured, "plot: a picture is (C, H, W) with 1 or 3 channels", np.shape(image), _advise_shape(image))
    image = image * _per_channel(std, len(image)) + _per_channel(mean, len(image))
    low = float(image.min())
    high = float(image.max())
    # A normalised picture would be clipped to a wrong one; resizing alone overshoots a little.
    in_range = low >= -OVERSHOOT and high <= 1 + OVERSHOOT
    require(in_range, "plot: a picture lies in [0, 1]", (low, high), _advise_range(low, high))
    return image.clip(0, 1)


def _advise_range(low: float, high: float) -> str:
    """Line to paste for a picture outside [0, 1]: bytes are divided, normalisation is taken back."""
    return (
        "x / 255"
        if low >= 0 and high <= 255 and high > 10
        else f"xnb.plot.picture(x, ax, {_PER_CHANNEL})  # or those of your preprocessing"
    )


def _advise_shape(image: NDArray) -> str:
    """Line to paste for an array that is no picture."""
    if image.ndim == 2:
        return "x[None]"
    if image.ndim == 3 and image.shape[2] in (1, 3):
        return "np.moveaxis(x, -1, 0)"  # channels last, as files have them
    if image.ndim == 3:
        return "x.mean(0, keepdims=True)"
    return "x[0]"


def _per_channel(numbers: Sequence[float] | float, channels: int) -> NDArray[np.float64]:
    """One number a channel, to be multiplied with a picture."""
    values = np.atleast_1d(np.asarray(numbers, dtype=float))
    fits = values.shape in {(1,), (channels,)}
    require(fits, f"plot: mean and std are one number, or one for each of {channels} channels", numbers, "mean=0.5")
    return values[:, None, None]


def hide_axes(ax: Axes, title: str) -> Axes:
    """Take ticks and frame away, and write the title."""
    ax.set(xticks=[], yticks=[], title=title)
    sns.despine(ax=ax, left=True, bottom=True)
    return ax
