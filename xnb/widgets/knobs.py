"""A method's knobs as controls, read from its signature."""

from inspect import Parameter, signature
from typing import Literal, get_args, get_origin, get_type_hints

import ipywidgets as W
from torch import nn

from xnb.access.hooks import captured
from xnb.access.score import logits
from xnb.methods import METHODS
from xnb.methods.lrp_rules import COMPOSITES
from xnb.widgets.explained import Subject
from xnb.widgets.panel import AUTOMATIC, choice, slider, tick

SQUARES = {"exact_shapley": 3}  # 512 passes; with 7 squares along a side there would be 2^49
HIDDEN = {"chunk"}  # changes no result
ROUNDED = [AUTOMATIC, 1, 2, 4, 8, 16, 32, 64, 128]
SHARES = [AUTOMATIC, 0.3, 0.1, 0.03, 0.01]


def controls(method: str, subject: Subject) -> dict[str, W.Widget]:
    """A control for each knob that one control can move."""
    function = METHODS[method]
    kinds, found = get_type_hints(function), {}
    for name, parameter in signature(function).parameters.items():
        if parameter.kind is Parameter.KEYWORD_ONLY and name not in HIDDEN:
            found[name] = special(method, name, parameter, subject) or usual(name, parameter.default, kinds[name])
    return {name: made for name, made in found.items() if made is not None}


def special(method: str, name: str, parameter: Parameter, subject: Subject) -> W.Widget | None:
    """Controls of knobs that depend on the input or the model."""
    pictures = subject.x.ndim == 4
    match name:
        case "regions" if pictures:
            return slider(W.IntSlider, "squares", SQUARES.get(method, 7), 2, 4 if method in SQUARES else 16)
        case "baseline":
            low, high = (float(end) for end in subject.x.aminmax())
            return slider(W.FloatSlider, name, parameter.default, min(low, 0), max(high, 0), (high - low) / 20)
        case "layer":
            return choice(name, [AUTOMATIC, *spatial_layers(subject)], None)
        case "composite":
            return choice(name, sorted(COMPOSITES), parameter.default)
        case "window" if pictures:
            return slider(W.IntSlider, name, parameter.default, 1, min(subject.x.shape[2:]) // 2)
        case "seed":
            return slider(W.IntSlider, name, parameter.default, 0, 20)
        case "block":
            return choice(name, [("last", -1), *range(12)], -1)
    return None


def usual(name: str, default: object, kind: object) -> W.Widget | None:
    """Controls of knobs that say all in their annotation."""
    if get_origin(kind) is Literal:
        return choice(name, list(get_args(kind)), default)
    if name == "steps":  # with a default of None, which means 32
        return slider(W.IntSlider, name, default or 32, 1, 128)
    match default:
        case bool():
            return tick(name, default)
        case int():
            step = max(1, default // 32)
            return slider(W.IntSlider, name, default, step, 4 * default, step)
        case float():
            return slider(W.FloatSlider, name, default, 0, 4 * default, default / 20)
        case None if kind in (int | None, float | None):
            return choice(name, ROUNDED if kind == int | None else SHARES, None)
    return None


def spatial_layers(subject: Subject) -> list[str]:
    """Modules that return rows and columns."""
    if not isinstance(subject.model, nn.Module):
        return []
    names = [name for name, _ in subject.model.named_modules() if name]
    with captured(subject.model, *names) as seen:
        logits(subject.model, subject.input(0))
    shapes = ((name, getattr(seen.get(name), "shape", ())) for name in names)
    return [name for name, shape in shapes if len(shape) == 4 and shape[2] * shape[3] > 1]
