"""The colour scale of a map: symmetric around zero, where it ends, and what lies beyond."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import find_entry, refuse, require

SIGNED = "RdBu_r"  # red for, blue against: all common forms of colour blindness tell them apart, white is nothing
UNSIGNED = "viridis"

LARGE_MAP = 128 * 128  # values; in a larger map, one value is too small to see, and must not set the scale for all
CLIP_PERCENTILE = 99.5  # of the magnitudes of a large map
_ROUNDING = 1e-3  # a limit written with a few digits is no clipping


class Scale(NamedTuple):
    """Colours from `-end` to `end`; `beyond` says what share of the values has no colour of its own, or nothing."""

    end: float
    beyond: str


def choose_scale(heat: NDArray, limit: float | None = None, clip: float | None = None) -> Scale:
    """Where the colours of a map end.

    Args:
        limit: in the unit of the map.
        clip: percentile of the magnitudes; None is 100 for maps of at most 128 x 128 values, and 99.5 for larger ones.

    Raises:
        ValueError: a limit that is not above 0, or a percentile outside (0, 100].
    """
    magnitude = np.abs(heat)
    largest = float(magnitude.max(initial=0))
    if limit is not None:
        require(0 < limit < np.inf, "plot: limit must be a number above 0", limit, "limit=None")
        end = float(limit)
    else:
        end = _percentile_of(magnitude, clip)
    # A map of zeros has no scale of its own, and one from 0 to 0 cannot be drawn. Where nearly all is zero, the
    # percentile is zero as well.
    end = end or largest or 1.0
    share = float((magnitude > end * (1 + _ROUNDING)).sum()) / max(magnitude.size, 1)
    return Scale(end, f"{100 * share:.1f} % beyond, up to {largest:.2g}" if share else "")


def _percentile_of(magnitude: NDArray, clip: float | None) -> float:
    """The percentile `clip` of some numbers; None: the largest, but for large maps, where single values stand out."""
    if clip is None:
        clip = CLIP_PERCENTILE if magnitude.size > LARGE_MAP else 100
    require(0 < clip <= 100, "plot: clip must be a percentile in (0, 100]", clip, "clip=99.5")
    if magnitude.size:
        return float(np.percentile(magnitude, clip))
    return 0.0


def find_colours(name: str | Colormap) -> Colormap:
    """A colour map of matplotlib, by its name or itself."""
    if isinstance(name, Colormap):
        return name
    return find_entry(mpl.colormaps, str(name), "plot: cmap must be a colour map of matplotlib")


def write_scale(colours: ScalarMappable, scale: Scale, ax: Axes, colorbar: bool = True) -> None:
    """Draw the colour bar with the numbers at its ends; say beside it, or below the map, what lies beyond."""
    if not colorbar:
        if scale.beyond:
            below = [label for label in (ax.get_xlabel(), scale.beyond) if label]
            ax.set_xlabel("; ".join(below), fontsize=7)
        return
    end = scale.end
    pointed = "both" if scale.beyond else "neither"
    bar = ax.figure.colorbar(
        colours,
        ax=ax,
        fraction=0.046,
        pad=0.03,
        ticks=[-end, 0, end],
        extend=pointed,
    )
    bar.ax.set_yticklabels([f"{-end:.2g}", "0", f"{end:.2g}"])
    if scale.beyond:
        bar.set_label(scale.beyond, fontsize=7)


def read_numbers(values: ArrayLike | Tensor, name: str) -> NDArray[np.float64]:
    """Numbers of a tensor, also one of a graph or on another device, or of anything that numpy reads.

    Raises:
        ValueError: no numbers, or some that are infinite or NaN.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().double()
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.empty(())
    if not numbers.ndim:  # nothing, a word, rows of different lengths
        refuse(f"plot: {name} must hold numbers", values, _suggest_numbers(values, name))
    count = int((~np.isfinite(numbers)).sum())
    require(count == 0, f"plot: {name} must be finite", f"{count} values that are not", "a.nan_to_num()")
    return numbers


def _suggest_numbers(values: object, name: str) -> str:
    """The line that makes numbers of what was to be drawn."""
    if isinstance(values, str):
        return f"from torchvision.io import decode_image; x = decode_image({values!r}) / 255"
    if "attribution" in name:
        return "a = xnb.attribute(model, x, target)[0]"
    return "a tensor or an array of numbers"


def drop_batch_axis(numbers: NDArray, ndim: int) -> NDArray:
    """One input of a batch of one that has an axis more than an input; anything else stays as it is."""
    if numbers.ndim == ndim + 1 and len(numbers) == 1:
        return numbers[0]
    return numbers
