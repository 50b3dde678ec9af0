"""Maps of signals and volumes: which steps, and which places of which slices, speak for a class."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xnb.check import require
from xnb.plot.pictures import hide_axes
from xnb.plot.scale import SIGNED, choose_scale, drop_batch_axis, read_numbers, write_scale

_AXES = ("depth", "row", "column")
_BEHIND_LINES = 0.75  # opacity of the colours: a black line is seen on the darkest of them
_COLUMNS = 300  # of colour along a signal: narrower ones would not be seen


def signal(
    x: ArrayLike | Tensor,
    a: ArrayLike | Tensor,
    ax: Axes,
    *,
    limit: float | None = None,
    clip: float | None = None,
    title: str = "",
    colorbar: bool = True,
) -> Axes:
    """Draw a signal `(C, T)` or `(T,)` as lines over the colours of its attribution: red for the class, blue against.

    One channel has an axis in its own unit. Several stand one below the other, each scaled to its own range; an
    attribution with one row colours all of them. Of more than 300 steps, neighbours share a column of colour: that
    of the largest magnitude among them.

    Args:
        limit: end of the colour scale; the largest magnitude if omitted.
        clip: percentile of the magnitudes where the scale ends if no limit is given, as in `attribution`.
    """
    lines = _read_channels(x, "a signal")
    heat = _read_channels(a, "an attribution of a signal")
    rows, steps = lines.shape
    fits = heat.shape in {(1, steps), (rows, steps)}
    require(fits, f"plot: the attribution of a signal is (C, T), C 1 or {rows}, T {steps}", heat.shape, "a[0]")
    scale = choose_scale(heat, limit, clip)
    # The colours fill the rows in which the lines stand.
    placed, ends = _place_lines(lines)
    colours = ax.imshow(
        _pool_steps(heat),
        cmap=SIGNED,
        vmin=-scale.end,
        vmax=scale.end,
        aspect="auto",
        interpolation="nearest",
        alpha=_BEHIND_LINES,
        extent=(-0.5, steps - 0.5, *ends),
    )
    ax.plot(placed.T, color="black", linewidth=0.9)
    ax.set(ylim=ends, xlabel="step", title=title)
    if rows > 1:
        ax.set_yticks(np.arange(rows) + 0.5, [str(row) for row in range(rows)])
        ax.set_ylabel("channel")
    write_scale(colours, scale, ax, colorbar)
    return ax


def _read_channels(values: ArrayLike | Tensor, name: str) -> NDArray[np.float64]:
    """Numbers `(C, T)`; one channel may come without its axis, and one input with its batch axis."""
    numbers = drop_batch_axis(read_numbers(values, name), 2)
    if numbers.ndim == 1:
        numbers = numbers[None]
    require(
        numbers.ndim == 2 and numbers.size > 0, f"plot: {name} is (C, T) or (T,)", numbers.shape, "x, a = x[0], a[0]"
    )
    return numbers


def _place_lines(lines: NDArray) -> tuple[NDArray, tuple[float, float]]:
    """Heights of the lines, and where the lower and the upper edge of the drawing lie."""
    low = lines.min(1, keepdims=True)
    span = np.ptp(lines, axis=1, keepdims=True)
    span[span == 0] = 1.0  # a constant has no range to be scaled to
    if len(lines) == 1:
        margin = 0.05 * span.item()
        return lines, (low.item() - margin, low.item() + span.item() + margin)
    row = np.arange(len(lines))[:, None]
    shares = (lines - low) / span
    return row + 0.9 - 0.8 * shares, (float(len(lines)), 0.0)  # rows are counted downwards


def _pool_steps(heat: NDArray) -> NDArray:
    """The same with at most 300 columns: of the steps that share one, the value of the largest magnitude."""
    steps = heat.shape[1]
    width = -(-steps // _COLUMNS)
    if width == 1:
        return heat
    padded = np.pad(heat, ((0, 0), (0, -steps % width)))
    groups = padded.reshape(len(heat), -1, width)
    strongest = np.abs(groups).argmax(2)[..., None]
    return np.take_along_axis(groups, strongest, 2)[..., 0]


def slices(
    volume: ArrayLike | Tensor,
    a: ArrayLike | Tensor,
    figure: Figure,
    *,
    axis: int = 0,
    count: int = 5,
    limit: float | None = None,
    clip: float | None = None,
    colorbar: bool = True,
) -> Figure:
    """Draw the slices of a volume that hold most of the magnitude of its attribution, with the map over them.

    The volume `(C, D, H, W)` or `(D, H, W)`, its mean over channels, is drawn from its smallest value, black, to its
    largest, white. Titles say which slice it is, and its share of the magnitude of the whole map. One scale for all.

    Args:
        a: `(C, D, H, W)` or `(D, H, W)`, summed over channels; a coarse map is stretched over the volume.
        axis: which of depth, height and width is cut: 0, 1 or 2.
        count: how many slices at most, in order.
        limit: end of the colour scale; the largest magnitude if omitted.
        clip: percentile of the magnitudes where the scale ends if no limit is given, as in `attribution`.
    """
    require(axis in (0, 1, 2), "plot: axis is 0 (depth), 1 (height) or 2 (width)", axis, "axis=0")
    require(count > 0, "plot: count is a number of slices", count, "count=5")
    grey = np.moveaxis(_read_volume(volume, "a volume", np.mean), axis, 0)
    heat = np.moveaxis(_read_volume(a, "an attribution of a volume", np.sum), axis, 0)
    scale = choose_scale(heat, limit, clip)
    shares = np.abs(heat).sum((1, 2)) / (np.abs(heat).sum() or 1.0)
    selected = _choose_slices(shares, count)
    axes = figure.subplots(1, len(selected), squeeze=False)[0]
    thickness = len(grey) / len(heat)  # slices of the volume that one of the map stands for
    for ax, number in zip(axes, selected, strict=True):
        place = int((number + 0.5) * thickness)
        _draw_slice(
            grey[place],
            heat[number],
            ax,
            scale.end,
            (float(grey.min()), float(grey.max())),
        )
        hide_axes(ax, f"{_AXES[axis]} {place}: {shares[number]:.0%}")
    write_scale(axes[-1].images[-1], scale, axes[-1], colorbar)
    return figure


def _choose_slices(shares: NDArray, count: int) -> list[int]:
    """Numbers of the slices with the largest shares, in order; none that is empty, and the middle one if all are."""
    largest = np.argsort(-shares, kind="stable")[:count]
    filled = [int(number) for number in largest if shares[number] > 0]
    return sorted(filled) or [len(shares) // 2]


def _read_volume(values: ArrayLike | Tensor, name: str, join: Callable) -> NDArray[np.float64]:
    """Numbers `(D, H, W)`, channels joined."""
    numbers = drop_batch_axis(read_numbers(values, name), 4)
    is_volume = numbers.ndim in (3, 4) and numbers.size > 0
    require(is_volume, f"plot: {name} is (C, D, H, W) or (D, H, W)", numbers.shape, "x, a = x[0], a[0]")
    if numbers.ndim == 4:
        return join(numbers, axis=0)
    return numbers


def _draw_slice(grey: NDArray, heat: NDArray, ax: Axes, end: float, ends: tuple[float, float]) -> None:
    """Draw one slice in grey with its map over it, which covers only where it says something."""
    rows, columns = heat.shape
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    ax.imshow(grey, cmap="gray", vmin=ends[0], vmax=ends[1], extent=extent, interpolation="nearest")
    opacity = np.abs(heat / end).clip(0, 1)
    ax.imshow(heat, cmap=SIGNED, vmin=-end, vmax=end, alpha=opacity, extent=extent, interpolation="nearest")
    ax.set_aspect(grey.shape[0] / grey.shape[1] * columns / rows)
