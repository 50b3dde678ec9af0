"""Which axes of an input number its units, where a map of it is at hand, which may tell what the input does not."""

from typing import NoReturn

import torch

from xnb.access import units as access_units
from xnb.access.units import INSTANCES, Axes, Units
from xnb.check import refuse, require
from xnb.metrics.arguments import check_map_shape
from xnb.types import Attribution, Batch, Model

_PIXELS = (2, 3)  # of pictures (B, C, H, W)


def find_axes(units: Units, x: Batch, attribution: Attribution, model: Model | None = None) -> Axes:
    """The axes of `x` that number its units, as `xnb.access.units.find_unit_axes` has them for methods.

    Where neither the name nor the shape tells, an axis that the map shares numbers no units; then the model is asked.

    Args:
        units: one axis or several, e.g. `(2,)` for the steps of (B, C, T), `(1,)` for the tokens of (B, N, D).
        attribution: the map, of which an axis of length 1 is shared by what lies along that axis of `x`.
        model: looked at if nothing else tells; it runs one input.

    Raises:
        ValueError: the attribution does not broadcast to `x`, `units` are no axes of it or cannot be known, or there
            is but one unit.
    """
    check_map_shape(attribution, x)
    require(x.ndim > 1, "metrics: x must have a batch axis (B, ...)", x, "x, a = x[None], a[None]")
    shown = _read_shared_axes(x, attribution) if units is None else None
    axes = shown or access_units.find_unit_axes(units, x, model, "metrics")
    if units is None and axes == _PIXELS:
        _refuse_map_of_channels(x, attribution)
    count = torch.Size([x.shape[axis] for axis in axes]).numel()
    if count <= 1 and len(x):
        _refuse_one_unit(x, axes)
    return axes


def _read_shared_axes(x: Batch, attribution: Attribution) -> Axes | None:
    """What the map tells: (B, C, T) and (B, N, D) have the same shape, and a map shares an axis of one of them."""
    if x.ndim in (2, 4) or x.shape[1] == 1:
        return None
    first, *others = [length == 1 for length in attribution.shape[1:]]
    if all(others) and not first:
        return INSTANCES
    if first and not all(others):
        return tuple(range(2, x.ndim))
    return None


def _refuse_map_of_channels(x: Batch, attribution: Attribution) -> None:
    """Refuse a map (B, C, 1, W) of a picture: it tells channels apart, and pixels not."""
    places = zip(attribution.shape[2:], x.shape[2:], strict=True)
    ignores_pixels = any(length < whole for length, whole in places)
    tells_channels = attribution.shape[1] > 1
    varying = tuple(axis for axis in range(1, x.ndim) if attribution.shape[axis] > 1)
    rule = "metrics: the map of a picture (B, C, H, W) must tell pixels apart, or the units be named"
    require(not (ignores_pixels and tells_channels), rule, attribution, f"units={varying}")


def _refuse_one_unit(x: Batch, axes: Axes) -> NoReturn:
    longer = tuple(axis for axis in range(1, x.ndim) if x.shape[axis] > 1)
    hint = f"units={longer}" if longer else ""
    refuse(f"metrics: there is one unit alone along {axes} of x, so every map scores alike", x, hint)
