"""What a caller hands over to a metric, as metrics take it: a target for all, arrays, maps of another type."""

from collections.abc import Mapping

import torch
from torch import Tensor

from xnb.access.inputs import read_input
from xnb.access.model_call import check_explainable
from xnb.check import is_finite, refuse, require
from xnb.types import Attribution, Batch, Model

_LINES = {
    "masks": "masks=x[:, :1] > 0  # where the evidence is",
    "method": 'method=xnb.METHODS["gradient"]',
    "other": "other=xnb.metrics.randomised_models.randomised_copy(model)  # better: one trained on random labels",
}


def read_values(model: Model, x: object, who: str) -> Batch:
    """The input, as `access.inputs.read_input`, and no whole numbers.

    Args:
        who: the metric, first word of a refusal.
    """
    values = read_input(model, x, who, as_batch="x, a = x[None], a[None]")
    if not values.is_floating_point():
        check_explainable(model, values)  # refuses whole numbers, with the line for pixels or for tokens
    return values


def read_attribution(attribution: object, x: Batch) -> Tensor | None:
    """The map as numbers where `x` is; None stays, as some metrics read no map.

    Raises:
        ValueError: it is no array of real numbers.
    """
    if attribution is None:
        return None
    hint = "attribution = xnb.attribute(model, x, target)"
    try:
        values = torch.as_tensor(attribution, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        refuse("metrics: the attribution must be a tensor or an array", attribution, hint)
    require(not values.is_complex(), "metrics: the attribution must be real", values, "attribution = attribution.real")
    if values.is_floating_point():
        return values
    return values.double()


def check_asked(asks: tuple[str, ...], knobs: Mapping[str, object], who: str) -> None:
    """Refuse a call that lacks what the metric asks for beside the map, or hands over a method's name."""
    for name in asks:
        require(name in knobs, f"{who}: asks for {name}", list(knobs), _LINES[name])
        if name != "masks":
            value = knobs[name]
            line = f'method=xnb.METHODS["{value}"]' if name == "method" and isinstance(value, str) else _LINES[name]
            require(callable(value), f"{who}: {name} must be a function or a model", value, line)


def check_map(attribution: Attribution, x: Batch) -> None:
    """Refuse what is no finite map of `x`."""
    check_map_shape(attribution, x)
    rule = "metrics: the attribution must be finite"
    require(is_finite(attribution), rule, "NaN or infinity", "attribution = attribution.nan_to_num()")


def check_map_shape(attribution: Attribution | None, x: Batch) -> None:
    """Refuse what does not broadcast to `x`, one map an input."""
    rule = f"metrics: the attribution must broadcast to x {tuple(x.shape)}, one map an input"
    if attribution is None:
        refuse(rule, attribution, "attribution = xnb.attribute(model, x, target)")
    same_axes = attribution.ndim == x.ndim and len(attribution) == len(x)
    lengths = zip(attribution.shape, x.shape, strict=False)
    fits = same_axes and all(length in {1, whole} for length, whole in lengths)
    require(fits, rule, attribution, _suggest_map_line(attribution, x))


def _suggest_map_line(attribution: Attribution, x: Batch) -> str:
    """The line that makes a map of `x` of what came: the axis of the channels or of the batch may be missing."""
    shape = attribution.shape
    if x.ndim > 2 and shape == x.shape[:1] + x.shape[2:]:
        return "attribution = attribution.unsqueeze(1)"
    if len(x) == 1 and shape == x.shape[1:]:
        return "attribution = attribution[None]"
    if len(x) == 1 and x.ndim > 2 and shape == x.shape[2:]:
        return "attribution = attribution[None, None]"
    return "attribution = xnb.attribute(model, x, target)"
